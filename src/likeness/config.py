"""YAML preset + `key=value` overrides -> a frozen dataclass. An unknown key is an error that suggests the right one."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar, Union

from .errors import ConfigError

T = TypeVar("T")
PRESETS = Path(__file__).parent / "presets"


def load(cls: type[T], preset: str | Path | None = None, overrides: dict[str, Any] | None = None) -> T:
    """Build `cls` from a preset (a name in `presets/` or a YAML file), then from the overrides that are not None."""
    values = read_preset(preset) if preset else {}
    values |= {k: v for k, v in (overrides or {}).items() if v is not None}
    return build(cls, values)


def presets() -> list[str]:
    """Names of the shipped presets, `smoke/mini` style for those in folders."""
    return sorted(p.relative_to(PRESETS).with_suffix("").as_posix() for p in PRESETS.rglob("*.yaml"))


def read_preset(preset: str | Path) -> dict[str, Any]:
    import yaml

    path = Path(preset) if Path(preset).suffix in {".yaml", ".yml"} else PRESETS / f"{preset}.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError(f"no preset {str(preset)!r}{suggest(str(preset), presets())}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold `key: value` lines")
    return values


def overlay(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with changes laid over it; a dotted key reaches into a group: `loop.batch`."""
    merged = dict(values)
    for key, value in changes.items():
        head, dot, rest = key.partition(".")
        inner = merged.get(head) or {}
        if dot and not isinstance(inner, dict):
            raise ConfigError(f"{head} must hold `key: value` lines, not {inner!r}")
        merged[head] = overlay(inner, {rest: value}) if dot else value
    return merged


def pairs(texts: list[str]) -> dict[str, Any]:
    """`["loop.batch=16"]` -> `{"loop.batch": 16}`; values are read as YAML."""
    import yaml

    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"{text!r} is not a setting: write key=value")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"{text!r}: the value is not valid YAML; put it in quotes") from None
    return found


def build(cls: type[T], values: dict[str, Any]) -> T:
    """`cls(**values)` with each value checked and converted to its field's declared type."""
    hints = typing.get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(f"unknown setting {key!r}{suggest(key, sorted(known))}")
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        if f.init and f.name not in values and f.default is f.default_factory is dataclasses.MISSING:
            raise ConfigError(f"setting {f.name!r} is missing")
    return cls(**{key: _convert(key, value, hints[key]) for key, value in values.items()})


def suggest(word: str, known: list[str]) -> str:
    """`: did you mean …?`, or the list of what there is."""
    close = difflib.get_close_matches(word, known, 1, 0.6)
    return f": did you mean {close[0]!r}?" if close else f": choose from {', '.join(known)}"


def _convert(key: str, value: Any, hint: Any) -> Any:
    """`value` as the declared type; what would have to be guessed (1.5 for a count) is an error."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    wanted = next(o for o in options if o is not type(None))
    origin = typing.get_origin(wanted) or wanted
    try:
        if dataclasses.is_dataclass(wanted):
            return build(typing.cast(type, wanted), dict(value))
        if origin is tuple:
            return _convert_tuple(key, value, typing.get_args(wanted))
        if origin is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if origin in (int, float, str, Path):
            if isinstance(value, bool) or not isinstance(value, str | int | float | Path):
                raise ValueError
            if isinstance(value, float) and origin is int and value != int(value):
                raise ValueError
            return origin(value)
        if origin in (dict, list) and not isinstance(value, origin):
            raise ValueError
        return value
    except (TypeError, ValueError, KeyError, OverflowError):
        name = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
        kind = getattr(origin, "__name__", str(origin))
        raise ConfigError(f"{key} must be {name.get(kind, f'a {kind}')}, not {value!r}") from None


def _convert_tuple(key: str, value: Any, hints: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError
    if len(hints) == 2 and hints[1] is Ellipsis:
        return tuple(_convert(key, v, hints[0]) for v in value)
    if hints and len(hints) != len(value):
        raise ValueError
    return tuple(_convert(key, v, h) for v, h in zip(value, hints, strict=True)) if hints else tuple(value)
