"""Every exception of likeness. A message is one line and says what to do next.

LikenessError
├── UsageError            the caller can mend it: bad value, missing file, unknown name (exit code 2, HTTP 4xx)
│   ├── ConfigError       a preset or an override is wrong
│   ├── RecordError       a field of a record is wrong
│   ├── ModelNotFound     no such model, or its files are not here
│   ├── BadImage          a file that is no usable picture, with a reason of `UNREADABLE`
│   └── PromptRefused     the prompt asks for what this model must not or cannot draw
├── Unreachable           a download did not come; what has come is kept; run it again
├── MissingExtra          an optional dependency is not installed (exit code 2)
├── TrainingError         training cannot go on: non-finite loss, damaged checkpoint
│   └── Unfinished        the time is up before a stage that the next one needs; run it again
└── EngineError           the machine failed: out of memory, black pictures
"""

from pathlib import Path

UNREADABLE = {
    "missing": "there is no such file, or a link leads nowhere",
    "not a file": "a folder, a pipe or a device",
    "no access": "the file cannot be read",
    "empty": "the file has no bytes, or only zero bytes",
    "too large": "the file has more bytes than the limit",
    "not an image": "the bytes are of no picture format that is read here",
    "too many pixels": "the picture has more pixels than the limit",
    "bomb": "a small file that unpacks to something huge, or takes for ever to draw",
    "truncated": "the file ends too early",
    "damaged": "the format is known, but what it holds is broken",
}


class LikenessError(Exception):
    """Base of all. `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(LikenessError):
    exit_code = 2


class ConfigError(UsageError):
    pass


class RecordError(UsageError):
    pass


class ModelNotFound(UsageError):
    pass


class PromptRefused(UsageError):
    pass


class BadImage(UsageError):
    """A file that is no usable picture. `reason` is a key of `UNREADABLE`, `detail` what the reader said."""

    def __init__(self, reason: str, detail: str = "", path: str | Path | None = None) -> None:
        self.reason, self.detail, self.path = reason, detail, path
        where = f"{path}: " if path is not None else ""
        super().__init__(f"{where}{reason}: {UNREADABLE[reason]}{f' ({detail})' if detail else ''}")

    def __reduce__(self) -> tuple[type["BadImage"], tuple[str, str, str | Path | None]]:
        return type(self), (self.reason, self.detail, self.path)  # it travels between worker processes


class Unreachable(LikenessError):
    """The file did not come, although it may another time; what has come is kept."""


class MissingExtra(LikenessError):
    exit_code = 2


class TrainingError(LikenessError):
    pass


class Unfinished(TrainingError):
    pass


class EngineError(LikenessError):
    pass
