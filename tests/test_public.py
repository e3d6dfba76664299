"""What `import likeness` gives. That it loads nothing heavy by itself, test_structure.py checks."""

import subprocess
import sys
from pathlib import Path

import likeness

SRC = Path(likeness.__file__).parent.parent


def test_names_come_from_where_the_table_says():
    assert set(likeness._WHERE) == set(likeness.__all__)
    assert likeness.__version__[0].isdigit()


def test_words_and_records_can_be_used_without_a_framework():
    code = "import sys, likeness as l; l.ImageRequest(l.describe(l.parse('a man').attributes)); print(*sys.modules)"
    found = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SRC).stdout.split()
    )
    assert "likeness.grammar" in found
    assert not found & {"torch", "transformers", "diffusers", "numpy", "PIL", "huggingface_hub", "rich", "typer"}


def test_a_library_is_silent_unless_its_user_sets_logging_up():
    code = "import likeness, logging; logging.getLogger('likeness.generate.safety').warning('refused')"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=SRC).stderr == ""
    )
