"""Prompts by name and version, from files: `prompts/paragraph.v1.txt`. A version that was used is never edited.

A file has the sections `# system` and `# user`; what stands before them is for its readers. `{words}` in braces are
places to fill.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import suggest
from ..errors import UsageError

FOLDER = Path(__file__).parent / "prompts"
FILE = re.compile(r"(?P<name>[\w-]+)\.v(?P<version>\d+)\.txt")
PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Prompt:
    """What is said to a model: `system` sets the task, `user` comes with the picture or the text."""

    name: str
    version: int
    system: str
    user: str

    @property
    def places(self) -> set[str]:
        """What there is to fill."""
        return set(PLACE.findall(self.system + self.user))

    def fill(self, **values: str) -> Prompt:
        """With every place filled; values that have no place are not used. Raises `UsageError` for a place left."""
        if missing := sorted(self.places - set(values)):
            raise UsageError(f"the prompt {self.name}.v{self.version} has a place {{{missing[0]}}} that nothing fills.")
        system, user = (PLACE.sub(lambda found: values[found[1]], text) for text in (self.system, self.user))
        return replace(self, system=system, user=user)


def load(name: str) -> Prompt:
    """The newest version of a prompt ("paragraph"), a given one ("paragraph.v1"), or one from a file of that form
    ("mine.v3.txt"). Raises `UsageError` for one that is not there or has no two sections.
    """
    path = Path(name) if name.endswith(".txt") else _shipped(name)
    if not (parts := FILE.fullmatch(path.name)):
        raise UsageError(f"{path}: a prompt's file is called NAME.vNUMBER.txt, such as mine.v1.txt")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the prompt {path}: {getattr(error, 'strerror', '') or error}.") from None
    sections = re.split(r"^# (system|user)[ \t]*$", text, flags=re.M)[1:]
    found = {key: body.strip() for key, body in zip(sections[::2], sections[1::2], strict=True)}
    if not found.get("system") or not found.get("user"):
        raise UsageError(f"{path}: a prompt has the sections '# system' and '# user'.")
    return Prompt(parts["name"], int(parts["version"]), found["system"], found["user"])


def names() -> dict[str, list[int]]:
    """The shipped prompts, with their versions, oldest first."""
    found: dict[str, list[int]] = {}
    for path in sorted(FOLDER.iterdir()):
        if parts := FILE.fullmatch(path.name):
            found.setdefault(parts["name"], []).append(int(parts["version"]))
    return {name: sorted(versions) for name, versions in found.items()}


def _shipped(name: str) -> Path:
    there = names()
    plain, _, version = name.partition(".v")
    if plain not in there:
        raise UsageError(f"no prompt {name!r}{suggest(plain, list(there))}")
    if version and version not in map(str, there[plain]):
        raise UsageError(f"no version {version} of {plain}: there is {', '.join(f'v{v}' for v in there[plain])}")
    return FOLDER / f"{plain}.v{version or there[plain][-1]}.txt"
