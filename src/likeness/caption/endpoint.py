"""Where a language model is asked, and as what: address, model, key, limits and prices."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..config import suggest
from ..errors import ConfigError, UsageError
from .captioner import Estimate, Usage

# name -> (base URL, the variable of its key, or "" where it wants none)
ENDPOINTS = {
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "ollama": ("http://localhost:11434/v1", ""),
    "vllm": ("http://localhost:8000/v1", ""),
}
KEY, ENDPOINT, MODEL = "LIKENESS_API_KEY", "LIKENESS_ENDPOINT", "LIKENESS_MODEL"


@dataclass(frozen=True)
class Endpoint:
    """`endpoint`: a name of `ENDPOINTS` or a base URL; it and `model` come from the environment where they are empty.

    Limits are per `window` seconds, None for none; `timeout` in seconds for a whole request; prices in US dollars for
    a million tokens.
    """

    endpoint: str = ""
    model: str = ""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    window: float = 60.0
    timeout: float = 60.0
    retries: int = 6
    price_in: float | None = None
    price_out: float | None = None

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute", "window", "timeout"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ConfigError(f"{name} must be more than 0, not {value!r}")
        for name in ("retries", "price_in", "price_out"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                raise ConfigError(f"{name} must be 0 or more, not {value!r}")

    @property
    def place(self) -> str:
        """What was asked for: a name or an address."""
        return self.endpoint or os.environ.get(ENDPOINT, "")

    @property
    def url(self) -> str:
        """The base URL. Raises `UsageError` where none is set."""
        place = self.place
        if place in ENDPOINTS:
            return ENDPOINTS[place][0]
        if place.startswith(("http://", "https://")):
            return place.rstrip("/")
        if not place:
            raise UsageError(f"no server to ask: set --endpoint or {ENDPOINT} to {_choices()}.")
        raise UsageError(f"no endpoint {place!r}{suggest(place, list(ENDPOINTS))}, or a base URL")

    @property
    def model_name(self) -> str:
        """Raises `UsageError` where none is set: no default is built in, because every model is withdrawn one day."""
        name = self.model or os.environ.get(MODEL, "")
        if not name:
            raise UsageError(f"no model: set --model or {MODEL} to one that {self.place or 'the server'} offers.")
        return name

    @property
    def key_variables(self) -> str:
        """The variables that the key may stand in, for messages."""
        own = ENDPOINTS.get(self.place, ("", ""))[1]
        return f"{KEY} or {own}" if own else KEY

    @property
    def key(self) -> str:
        """From the environment; servers of one's own take anything. Raises `UsageError` where one is needed."""
        own = ENDPOINTS.get(self.place, ("", ""))[1]
        found = os.environ.get(KEY) or (os.environ.get(own) if own else None)
        if own and not found:
            raise UsageError(f"{self.place} needs a key: set {self.key_variables} in the environment.")
        return found or "none"

    def check(self) -> None:
        """Raise `UsageError` for the first thing that is missing."""
        _ = self.url, self.model_name, self.key

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """US dollars; None where a price is not known."""
        if self.price_in is None or self.price_out is None:
            return None
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    def total(self, one: Usage, other: Usage | None) -> Usage:
        """Both together."""
        other = other or Usage(requests=0)
        tokens = one.tokens_in + other.tokens_in, one.tokens_out + other.tokens_out
        return Usage(*tokens, one.requests + other.requests, self.cost(*tokens))


def estimated(
    server: Endpoint, faces: int, asked: int, said: int, seconds: float, concurrency: int, *notes: str
) -> Estimate:
    """What one question for each face would take: `asked` and `said` tokens and `seconds` each, so many at a time."""
    at_once = concurrency * server.window / seconds  # answers in a window
    limits: list[float] = [server.requests_per_minute] if server.requests_per_minute else []
    limits += [server.tokens_per_minute / (asked + said)] if server.tokens_per_minute else []
    told = [*notes, f"{seconds:g} s for an answer, {concurrency} at a time; no request has to be repeated"]
    if not limits:
        told.append("no limits are set: requests_per_minute, tokens_per_minute")
    elif at_once < min(limits):
        told.append("the limits would allow more: raise concurrency")
    if server.price_in is None or server.price_out is None:
        told.append("no cost without price_in and price_out (US$ for a million tokens)")
    tokens = faces * asked, faces * said
    return Estimate(faces, faces / min([at_once, *limits]) * server.window, *tokens, server.cost(*tokens), tuple(told))


def configured() -> bool:
    """Whether the environment says which server and model to ask."""
    return bool(os.environ.get(ENDPOINT) and os.environ.get(MODEL))


def _choices() -> str:
    return f"{', '.join(ENDPOINTS)} or a base URL such as http://localhost:8000/v1"
