"""`drawing`, the pictures of these tests, can be imported: by tests, and by the worker processes that they start."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
