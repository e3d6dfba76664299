"""LLaVA-1.5 on this machine, through transformers: batches by memory, half precision, 4 bits where it can be had.

Greedy captions depend on the picture alone, up to the last bits of a kernel in a batch of another size. Sampled ones
are drawn from a seed of (`seed`, the names in the batch): the same folder, range and batch size give the same captions,
another batch size other ones.
"""

from __future__ import annotations

import gc
import importlib.util
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..data.decode import BadImage, open_image
from ..errors import ConfigError, EngineError, MissingExtra, ModelNotFound
from . import prompts
from .captioner import Caption, Estimate, Face, Failure, Outcome
from .labels import draw

if TYPE_CHECKING:
    from ..runtime import Runtime

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
QUANTIZE = ("none", "4bit")
# What LLaVA-1.5 was trained on (Liu et al. 2023, haotian-liu/LLaVA `conv_vicuna_v1`); the processor's own template says
# the same, and is used where there is one.
CHAT = "USER: <image>\n{text} ASSISTANT:"
BEGINNING = 4 << 30  # bytes that a batch may take on a CPU, where "free" is what others need too
A_FACE = 700 << 20  # bytes of activations and cache for one face of LLaVA-1.5 13b in half precision, rather too many
MOST = 64
SECONDS = {"cuda": 2.0, "mps": 15.0, "cpu": 120.0}  # for a caption of the 7b model: rules of thumb, not measured


@dataclass(frozen=True)
class LlavaConfig:
    """`model`: llava-7b, llava-13b, a folder, or a hub id. `precision`: auto is the device's fastest.
    `batch`: faces at a time, 0 by memory. `quantize`: "4bit" needs bitsandbytes and CUDA. `greedy`: no sampling.
    """

    model: str = "llava-7b"
    precision: str = "auto"
    device: str | None = None
    quantize: str = "none"
    batch: int = 0
    max_new_tokens: int = 150
    temperature: float = 0.7
    greedy: bool = False
    prompt: str = "paragraph"
    language: str = "English"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("precision", PRECISIONS), ("quantize", QUANTIZE)):
            if (value := getattr(self, name)) not in choices:
                raise ConfigError(f"{name} cannot be {value!r}{suggest(value, list(choices))}")
        if self.batch < 0 or self.max_new_tokens < 1:
            raise ConfigError("batch must be 0 (by memory) or more, max_new_tokens at least 1")
        if not self.greedy and not 0 < self.temperature <= 2:
            raise ConfigError(f"temperature {self.temperature:g} must be above 0 and up to 2; greedy=true for none")


class Llava:
    name = "llava"

    def __init__(self, config: LlavaConfig | None = None) -> None:
        self.config = config or LlavaConfig()
        self.prompt = prompts.load(self.config.prompt)
        if "fields" in self.prompt.places:
            raise ConfigError(f"llava fills in no questionnaire such as {self.prompt.name}: use the prompt paragraph")
        self.prompt = self.prompt.fill(language=self.config.language)

    def facts(self) -> dict[str, Any]:
        config = self.config
        drawn = {"greedy": True} if config.greedy else {"temperature": config.temperature, "seed": config.seed}
        kept = {"captioner": self.name, "model": config.model, "prompt": self.prompt.name}
        kept |= {"version": f"v{self.prompt.version}", "precision": config.precision}
        return kept | ({"quantize": config.quantize} if config.quantize != "none" else {}) | drawn

    def estimate(self, faces: int) -> Estimate:
        from ..runtime import choose

        device = choose(self.config.device).device.type
        note = f"{SECONDS[device]:g} s a face: a rule of thumb for the 7b model on {device}; the progress bar will know"
        return Estimate(faces, faces * SECONDS[device], notes=(note,))

    def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]:
        """Outcomes batch by batch. Raises `EngineError` where not even one face fits into memory."""
        engine, facts, waiting = Engine(self.config, self.prompt.system, self.prompt.user), self.facts(), iter(faces)
        while batch := list(islice(waiting, engine.batch)):
            start = time.perf_counter()
            good: list[tuple[Face, Any]] = []
            for face in batch:
                try:
                    good.append((face, open_image(face.picture())))
                except BadImage as error:
                    yield Failure(face.name, "unreadable", str(error), again=False)
            for (face, _), text in zip(good, engine.describe(good), strict=True):
                seconds = (time.perf_counter() - start) / len(good)
                if text:
                    yield Caption(face.name, text, facts=facts, seconds=seconds)
                else:
                    yield Failure(face.name, "empty", "the model said nothing", again=not self.config.greedy)


@dataclass
class Engine:
    """The model and its processor, loaded when they are first asked; `batch` shrinks when memory does not do."""

    config: LlavaConfig
    system: str
    user: str
    _batch: int = field(default=0)

    @cached_property
    def runtime(self) -> Runtime:
        from ..runtime import choose, fast_precision

        found = choose(self.config.device)
        wanted = fast_precision(found.device) if self.config.precision == "auto" else self.config.precision
        return replace(found, precision=wanted)

    @cached_property
    def folder(self) -> Path:
        """Where the files are. Raises `ModelNotFound`."""
        from ..models.registry import MODELS, ModelSpec, locate

        name = self.config.model
        if (Path(name) / "config.json").is_file():
            return Path(name)
        spec = next((s for s in MODELS.values() if s.family == "llava" and (name == s.name or name in s.hub_ids)), None)
        if spec is None and name.count("/") == 1 and not Path(name).exists():
            spec = ModelSpec(name, "llava", name, (name,))
        if spec is None:
            known = [s.name for s in MODELS.values() if s.family == "llava"]
            raise ModelNotFound(f"no LLaVA model {name!r}: choose {', '.join(known)}, a folder, or a hub id")
        return locate(spec)

    @cached_property
    def parts(self) -> tuple[Any, Any]:
        """Model and processor."""
        from transformers import AutoProcessor, LlavaForConditionalGeneration

        extra: dict[str, Any] = {}
        if self.config.quantize == "4bit":
            extra = {"quantization_config": four_bits(self.runtime), "device_map": {"": str(self.runtime.device)}}
        try:
            processor = AutoProcessor.from_pretrained(self.folder)
            model = LlavaForConditionalGeneration.from_pretrained(self.folder, dtype=self.runtime.dtype, **extra)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelNotFound(f"{self.folder} is no whole LLaVA model ({reason}): download it again") from None
        processor.tokenizer.padding_side = "left"  # so that all answers begin at one place
        if processor.tokenizer.pad_token is None:
            processor.tokenizer.pad_token = processor.tokenizer.eos_token
        return model.eval() if extra else model.to(self.runtime.device).eval(), processor

    @property
    def batch(self) -> int:
        if not self._batch:
            self._batch = self.config.batch or fitting(self.free())
        return self._batch

    def free(self) -> int:
        """Bytes that batches may take beside the weights."""
        import torch

        _ = self.parts
        return int(torch.cuda.mem_get_info(self.runtime.device)[0]) if self.runtime.device.type == "cuda" else BEGINNING

    @cached_property
    def chat(self) -> str:
        """The whole prompt with the picture's place in it."""
        processor, text = self.parts[1], f"{self.system}\n\n{self.user}"
        if not getattr(processor, "chat_template", None):
            return CHAT.format(text=text)
        said = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]
        return str(processor.apply_chat_template(said, add_generation_prompt=True))

    def describe(self, faces: list[tuple[Face, Any]]) -> list[str]:
        """A text for each picture; a batch that does not fit is halved, and so are all later ones."""
        if not faces:
            return []
        try:
            return self._generate(faces)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if len(faces) == 1:
                raise EngineError(
                    "not enough memory for one face: use --set quantize=4bit (CUDA) or --model llava-7b"
                ) from None
        self._batch = half = (len(faces) + 1) // 2
        self._clear()  # outside of the handler, whose error holds the failed batch's tensors
        return self.describe(faces[:half]) + self.describe(faces[half:])

    def _generate(self, faces: list[tuple[Face, Any]]) -> list[str]:
        import torch

        model, processor = self.parts
        inputs = processor(
            images=[picture for _, picture in faces], text=[self.chat] * len(faces), return_tensors="pt", padding=True
        ).to(self.runtime.device, self.runtime.dtype)
        how: dict[str, Any] = {"do_sample": False}
        if not self.config.greedy:
            torch.manual_seed(draw(self.config.seed, "\n".join(face.name for face, _ in faces)))
            how = {"do_sample": True, "temperature": self.config.temperature}
        with torch.inference_mode():
            tokens = model.generate(**inputs, max_new_tokens=self.config.max_new_tokens, **how)
        answers = tokens[:, inputs["input_ids"].shape[1] :]  # (B, prompt + answer) -> (B, answer)
        return [text.strip() for text in processor.batch_decode(answers, skip_special_tokens=True)]

    def _clear(self) -> None:
        import torch

        gc.collect()
        if self.runtime.device.type == "cuda":
            torch.cuda.empty_cache()


def fitting(free: int) -> int:
    """Faces that go into so many bytes, within reason."""
    return max(1, min(MOST, free // A_FACE))


def out_of_memory(error: BaseException) -> bool:
    import torch

    told = str(error).lower()
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(
        words in told for words in ("out of memory", "can't allocate memory", "cannot allocate memory")
    )


def four_bits(runtime: Runtime) -> Any:
    """NF4 weights (Dettmers et al. 2023). Raises `MissingExtra` without bitsandbytes, `ConfigError` without CUDA."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtra("quantize=4bit needs bitsandbytes: pip install bitsandbytes, or leave it out")
    if runtime.device.type != "cuda":
        raise ConfigError(f"quantize=4bit runs on CUDA, not on {runtime.device.type}: leave it out")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=runtime.dtype,
        bnb_4bit_use_double_quant=True,
    )
