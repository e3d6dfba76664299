"""CPU seconds until the command line answers: bare python, `import likeness`, and --help of the commands."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import likeness": ["-c", "import likeness"],
    "likeness --help": ["-m", "likeness", "--help"],
    "likeness generate --help": ["-m", "likeness", "generate", "--help"],
    "likeness train mini --help": ["-m", "likeness", "train", "mini", "--help"],
    "likeness evaluate mini --help": ["-m", "likeness", "evaluate", "mini", "--help"],
}
BUDGET = 0.5  # seconds, for `likeness --help`


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path("runs/bench/startup.json"))
    options = parser.parse_args()
    rows = {}
    for name, arguments in COMMANDS.items():
        cpu_seconds(arguments)  # the first run writes byte code
        times = [cpu_seconds(arguments) for _ in range(options.runs)]
        rows[name] = {"median": statistics.median(times), "least": min(times), "most": max(times)}
        print(f"{name:<32} {rows[name]['median']:6.3f} s  ({min(times):.3f} to {max(times):.3f}, {options.runs} runs)")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(
        json.dumps({"cpu_seconds": rows, "budget": BUDGET, "python": sys.version.split()[0]}, indent=2)
    )
    within = rows["likeness --help"]["median"] <= BUDGET
    print(
        f"likeness --help {'is within' if within else 'EXCEEDS'} its budget of {BUDGET} s; written to {options.output}"
    )
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
