"""Every exception of likeness. A message is one line and says what to do next.

LikenessError
├── UsageError            the caller can mend it: bad value, missing file, unknown name (exit code 2, HTTP 4xx)
│   ├── ConfigError       a preset or an override is wrong
│   ├── RecordError       a field of a record is wrong
│   ├── ModelNotFound     no such model, or its files are not here
│   └── PromptRefused     the prompt asks for what this model must not or cannot draw
├── MissingExtra          an optional dependency is not installed (exit code 2)
├── TrainingError         training cannot go on: non-finite loss, damaged checkpoint
│   └── Unfinished        the time is up before a stage that the next one needs; run it again
└── EngineError           the machine failed: out of memory, black pictures
"""


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


class MissingExtra(LikenessError):
    exit_code = 2


class TrainingError(LikenessError):
    pass


class Unfinished(TrainingError):
    pass


class EngineError(LikenessError):
    pass
