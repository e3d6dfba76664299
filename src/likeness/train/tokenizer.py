"""A CLIP tokenizer with a vocabulary of its own: byte-level BPE (Sennrich et al. 2016) over captions of the grammar."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..grammar import describe, vocabulary
from ..records import Attributes

START, END = "<|startoftext|>", "<|endoftext|>"


def train_tokenizer(folder: str | Path, people: Sequence[Attributes], size: int, captions: int = 20_000) -> Any:
    """The `CLIPTokenizer` in `folder`, trained first if it is not there. `size` counts bytes and special tokens too."""
    from transformers import CLIPTokenizer

    folder = Path(folder)
    if not (folder / "tokenizer.json").exists():
        texts = [describe(people[i % len(people)], "paragraph", i) for i in range(captions)]
        words = list(vocabulary()) * 50  # every word that the grammar knows becomes one token, however rare
        vocab, merges = _bpe([*texts, *words], size)
        tokenizer = CLIPTokenizer(
            vocab=vocab, merges=merges, unk_token=END, bos_token=START, eos_token=END, pad_token=END
        )
        tokenizer.model_max_length = 77
        tokenizer.save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def _bpe(texts: list[str], size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    # CLIP's own splitting of text into words, so that the merges mean what CLIPTokenizer will make of them.
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_regex(pattern), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(alphabet) - 2, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    pairs = (m.split(" ") if isinstance(m, str) else m for m in model["merges"])  # the library has written both forms
    merges = [(left, right) for left, right in pairs]
    # CLIP's order: bytes, bytes that end a word, merges, special tokens.
    tokens = sorted(alphabet) + [f"{c}</w>" for c in sorted(alphabet)] + ["".join(m) for m in merges]
    vocab = {token: i for i, token in enumerate(dict.fromkeys([*tokens, START, END]))}
    return vocab, merges


def _regex(pattern: str) -> Any:
    from tokenizers import Regex

    return Regex(pattern)
