"""The settings of `likeness train lora`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...models.lora import LoraShape
from ..plan import LoopConfig


@dataclass(frozen=True)
class LoraConfig:
    """`likeness train lora`. What is counted in steps or images is in `loop`, by its `unit`.

    model: a name, a hub id, a folder or a single file. data: prepared folders, `faces:2,more:1` with weights.
    crops_cached: so many random crops of each face come again and again and are cached; 0: crops are always new and
    encoded at every step. caption_variants: the same for captions that are written from attributes; unsaid: fields
    that these never name. windows: of 75 tokens; longer captions are cut. text_learning_rate: the text encoders', if
    another. latents: "sample" or "mode" of an autoencoder that gives a distribution. cache: a folder for latents and
    texts, shared between runs.
    """

    data: str
    output: str = "runs/lora"
    model: str = "mini"
    split: str | None = "train"
    where: tuple[str, ...] = ()
    max_samples: int | None = None
    instance_prompt: str | None = None
    resolution: int | None = None
    crop: str = "center"
    crops_cached: int = 0
    flip: float = 0.0
    buckets: bool = False
    caption_dropout: float = 0.0
    caption_variants: int = 0
    unsaid: tuple[str, ...] = ()
    windows: int = 1
    adapter: LoraShape = field(default_factory=LoraShape)
    prediction: str | None = None
    min_snr: float | None = None
    noise_offset: float = 0.0
    text_learning_rate: float | None = None
    latents: str = "sample"
    gradient_checkpointing: bool = False
    compile: bool = False
    cache: str | None = None
    cache_latents: bool = True
    cache_texts: bool = True
    held_out: int = 64
    validation_prompts: tuple[str, ...] = ()
    validation_images: int = 1
    validation_inference_steps: int = 30
    loop: LoopConfig = field(default_factory=LoopConfig)
