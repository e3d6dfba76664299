import numpy as np
from transformers import CLIPTokenizer

from likeness.data.labels import read_faces
from likeness.grammar import describe
from likeness.models.mini import load_tokenizer, tokenizer_files


def test_long_captions_fit_and_files_agree(tmp_path, assets):
    tokenizer = load_tokenizer(assets / "mini")
    people = [r.attributes for r in read_faces(assets / "faces")]
    captions = [describe(p, "paragraph", seed) for seed in range(3) for p in people]
    lengths = np.array([len(ids) for ids in tokenizer(captions).input_ids])
    assert (lengths <= 77).mean() >= 0.99
    for name, text in tokenizer_files(tokenizer).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    plain = CLIPTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    assert plain(captions[:50]).input_ids == tokenizer(captions[:50]).input_ids


def test_common_words_are_one_token_each(assets):
    tokenizer = load_tokenizer(assets / "mini")
    words = "woman man beard spectacles headscarf turban laughing blond moustache wrinkles".split()
    assert [len(tokenizer(w, add_special_tokens=False).input_ids) for w in words] == [1] * len(words)
