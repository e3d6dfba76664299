"""`likeness serve`: the HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import output as out


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, show_default=False)


def serve(
    config: Annotated[Path | None, _option("Settings as YAML; docs/service.md lists them.", "--config")] = None,
    host: Annotated[str | None, _option("Address to listen at; 127.0.0.1 if not set, 0.0.0.0 for everybody.")] = None,
    port: Annotated[int | None, _option("8000 if not set; 0 takes a free one.")] = None,
    model: Annotated[str | None, _option("Model that draws where a request names none; mini if not set.")] = None,
    models: Annotated[list[str] | None, _option("Another model that requests may name. Repeatable.", "--also")] = None,
    lora: Annotated[list[str] | None, _option("LoRA that requests may name, as NAME=PATH. Repeatable.")] = None,
    device: Annotated[str | None, _option("cpu, cuda, cuda:1 or mps.")] = None,
    no_keys: Annotated[bool, _option("Ask for no API key, whoever can reach the address.", "--no-keys")] = False,
    no_safety_checker: Annotated[
        bool, _option("Let out what Stable Diffusion's safety checker would keep back.", "--no-safety-checker")
    ] = False,
    public_url: Annotated[str | None, _option("Address that clients know the service by, for links.")] = None,
    log_prompts: Annotated[bool, _option("Write prompts into the log.", "--log-prompts")] = False,
    changes: Annotated[list[str] | None, _option("Any setting, as key=value. Repeatable.", "--set")] = None,
    show: Annotated[bool, _option("Print the settings as JSON, and end.", "--show")] = False,
) -> None:
    """Serve faces over HTTP: an API of its own, OpenAI's, and the field's. Logs are JSON lines on stderr."""
    from ..config import pairs
    from ..service.settings import read

    flags = {
        "host": host, "port": port, "model": model, "models": models or None, "device": device,
        "loras": _loras(lora), "require_keys": False if no_keys else None, "public_url": public_url,
        "safety_checker": False if no_safety_checker else None, "log_prompts": log_prompts or None,
    }  # fmt: skip
    settings = read(config, pairs(changes or []) | {key: value for key, value in flags.items() if value is not None})
    if show:
        import dataclasses

        out.as_json(dataclasses.asdict(settings))
        return
    _serve(settings)


def _serve(settings: Any) -> None:
    from importlib.util import find_spec

    from ..errors import MissingExtra

    if missing := [name for name in ("fastapi", "uvicorn", "sqlalchemy", "prometheus_client") if not find_spec(name)]:
        raise MissingExtra(f"the service is not installed ({missing[0]} is missing): pip install 'likeness[service]'")
    from ..service import logs
    from ..service.running import run

    if not settings.keys_required and not settings.loopback:
        out.remark(f"warning: whoever reaches {settings.host}:{settings.port} may draw, and see everybody's history")
    out.remark(f"loading {settings.offered[0]} …")
    with logs.as_json(settings.log_prompts):
        run(settings, _ready)


def _ready(address: str, app: Any) -> None:
    parts = app.state.parts
    if parts.settings.keys_required and not parts.keys.list():
        out.remark("there is no key yet: `likeness keys add NAME` makes one")
    out.result(f"likeness serves at {address}")
    import sys

    sys.stdout.flush()


def _loras(texts: list[str] | None) -> dict[str, str] | None:
    from ..errors import UsageError

    if not texts:
        return None
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name.strip() and equals and path.strip()):
            raise UsageError(f"--lora {text!r}: write NAME=PATH, such as --lora glasses=runs/glasses")
        found[name.strip()] = path.strip()
    return found
