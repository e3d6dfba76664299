"""Run the commands of docs/tutorial.md from top to bottom, in a new folder: python docs/tutorial.py [FOLDER]"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).with_name("tutorial.md")


def script(page: Path = PAGE) -> str:
    """All shell blocks of the page, one after the other; each command is shown, and the first that fails ends it."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)
    return "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\nset -x\n" + "\n".join(blocks)


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="likeness-tutorial-"))
    folder.mkdir(parents=True, exist_ok=True)
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # this Python's commands
    code = subprocess.run(["bash", "-c", script()], cwd=folder, env=os.environ | {"PATH": beside}).returncode
    print(f"tutorial {'done' if code == 0 else 'failed'}: {folder}")
    return code


if __name__ == "__main__":
    sys.exit(main())
