"""What an operator may set: one frozen table, from a YAML file, the environment and the command line."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import build, overlay, pairs, read_preset
from ..errors import ConfigError
from ..files import state_folder

PREFIX = "LIKENESS_SERVE_"  # LIKENESS_MODEL and LIKENESS_CACHE mean other things elsewhere
PLAIN = {"TEXT_MODEL_URL": "text_model_url", "IMAGE_MODEL_URL": "image_model_url"}  # the names that gateways use


@dataclass(frozen=True)
class MarkSettings:
    """What every answered picture is marked with. `certificate` and `key` are PEM files; empty: a self-made pair."""

    watermark: bool = True
    c2pa: bool = True
    certificate: str = ""
    key: str = ""
    anchors: tuple[str, ...] = ()  # PEM files whose signatures /v1/verify trusts, besides the own one


@dataclass(frozen=True)
class Settings:
    """See docs/service.md for what each one does. Seconds and bytes; sizes of pictures are the model's business."""

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    # drawing
    model: str = "mini"
    models: tuple[str, ...] = ()
    loras: dict[str, str] = field(default_factory=dict)
    keep_models: int = 2
    workers: int = 0
    device: str | None = None
    precision: str | None = None
    max_batch: int = 8
    max_wait: float = 0.05
    queue: int = 64
    deadline: float = 300.0
    safety_checker: bool = True
    text_model_url: str = ""
    image_model_url: str = ""
    marks: MarkSettings = field(default_factory=MarkSettings)
    # keeping
    database: str = ""
    pictures: str = ""
    cache: bool = True
    cache_ttl: float = 3600.0
    cache_size: int = 2 << 30
    # who may ask, and how much
    require_keys: bool | None = None
    rate_per_minute: int = 60
    hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    max_body: int = 12 << 20
    body_seconds: float = 20.0
    max_prompt: int = 2000
    max_count: int = 8
    max_steps: int = 150
    max_pixels: int = 25_000_000
    # telling and leaving
    log_prompts: bool = False
    grace: float = 20.0

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be more than 0, not {getattr(self, name)!r}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port must be 0 to 65535, not {self.port}")
        if min(self.workers, self.max_wait) < 0 or self.cache_ttl < 0 or self.cache_size < 0 or self.grace < 0:
            raise ConfigError("workers, max_wait, cache_ttl, cache_size and grace must be 0 or more")
        for name in ("public_url", "text_model_url", "image_model_url"):
            if (url := getattr(self, name)) and not url.startswith(("http://", "https://")):
                raise ConfigError(f"{name} must start with http:// or https://, not {url!r}")
        if wrong := [origin for origin in self.cors_origins if "*" in origin]:
            raise ConfigError(f"cors_origins names each origin, such as https://example.org: {wrong[0]!r} is none")
        if bool(self.marks.certificate) != bool(self.marks.key):
            raise ConfigError("marks.certificate and marks.key go together: set both, or neither for a self-made pair")

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can reach the address that is bound."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def keys_required(self) -> bool:
        return not self.loopback if self.require_keys is None else self.require_keys

    @property
    def offered(self) -> tuple[str, ...]:
        """Models that a request may name; the first is the one without a name."""
        return tuple(dict.fromkeys((self.model, *self.models)))

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{state_folder() / 'likeness.db'}"

    @property
    def picture_place(self) -> str:
        return self.pictures or str(state_folder() / "pictures")


_POSITIVE = (
    "keep_models", "max_batch", "queue", "deadline", "rate_per_minute", "max_body", "body_seconds", "max_prompt",
    "max_count", "max_steps", "max_pixels",
)  # fmt: skip


def read(
    file: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """File, then environment, then `changes` (dotted keys reach into groups); what comes later wins.

    `LIKENESS_SERVE_MAX_BATCH=4` sets `max_batch`, `LIKENESS_SERVE_MARKS_C2PA=false` sets `marks.c2pa`; values are read
    as YAML. Raises `ConfigError`.
    """
    values = read_preset(_yaml(file)) if file else {}
    values = overlay(values, _from_environment(os.environ if environ is None else environ))
    values = overlay(values, {key: value for key, value in (changes or {}).items() if value is not None})
    return build(Settings, {key: value for key, value in values.items() if value is not None})


def _yaml(file: str | Path) -> Path:
    path = Path(file)
    if path.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"{path} is no settings file: its name must end in .yaml")
    if not path.is_file():
        raise ConfigError(f"no settings file {path}")
    return path


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    groups = {"marks_": "marks."}
    found: dict[str, Any] = {ours: environ[name] for name, ours in PLAIN.items() if environ.get(name)}
    for name, text in environ.items():
        if name.startswith(PREFIX) and text != "":
            key = name.removeprefix(PREFIX).lower()
            for flat, dotted in groups.items():
                if key.startswith(flat):
                    key = dotted + key.removeprefix(flat)
            found |= pairs([f"{key}={text}"])
    texts = {f.name for f in dataclasses.fields(Settings) if f.type == "str"}
    # YAML reads some texts as other things: `no` as false, `8` as a number
    return found | {key: environ.get(PREFIX + key.upper(), str(found[key])) for key in texts & set(found)}
