"""What a preparation did: kept, left out by reason, what could not be read; as a record, as JSON, and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from .cutting import REASONS as OWN
from .decode import REASONS as UNREADABLE
from .filters import REASONS as FILTERED

MEANINGS = {**UNREADABLE, **FILTERED, **OWN}
PACKAGES = ("pillow", "numpy", "opencv-python-headless", "torch")
SHOWN = 5


@dataclass
class Report:
    """`read` items gave `kept` pictures; the rest is in `dropped` by reason (see `MEANINGS`).

    quarantined: files that could not be used at all, each with its reason; examples: some of the other reasons';
    problems: rows and files that the sources could not use (`lost`), and remarks; settings: what the result depends on;
    run: how long this sitting took, which is the only part that differs between two runs.
    """

    output: str
    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    quarantined: list[dict[str, str]] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """For people: a table of what was kept and left out, and where to look."""
        rows = [("read", self.read, ""), ("kept", self.kept, "")]
        rows += [(reason, count, MEANINGS.get(reason, "")) for reason, count in self.dropped.items()]
        if self.lost:
            rows.append(("not usable", self.lost, "rows and files of the sources: see problems in report.json"))
        wide = max(len(name) for name, _, _ in rows)
        out = [f"{name.ljust(wide)}  {count:>9,}  {why}".rstrip() for name, count, why in rows]
        for entry in self.quarantined[:SHOWN]:
            said = f"{entry['reason']} ({entry['detail']})" if entry["detail"] else entry["reason"]
            out.append(f"  {printable(entry['file'])}: {printable(said)}")
        if len(self.quarantined) > SHOWN:
            out.append(f"  … and {len(self.quarantined) - SHOWN:,} more that could not be read, in report.json")
        if (rate := self.run.get("rate")) and self.run.get("seconds"):
            took = f"{self.run['seconds']:,.0f} s, {rate:.1f} images/s with {self.run['workers']} workers"
            again = self.run.get("already", 0)
            out.append(took + (f"; {again:,} were done before" if again else ""))
        return "\n".join(out)


def versions() -> dict[str, str]:
    """What the pictures were made with."""
    from ..provenance import version

    found = {"likeness": version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name).split("+")[0]
        except metadata.PackageNotFoundError:
            continue
    return found


def printable(text: str) -> str:
    """One line without signs that move the cursor: names of files are somebody else's text."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:200]


def located(path: str | Path) -> str:
    """A path that can be written as UTF-8: bytes that are none are shown as escapes."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
