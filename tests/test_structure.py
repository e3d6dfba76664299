"""What holds the project together: sizes, names, imports, presets, and pages that are true."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "likeness"
HEAVY = ("torch", "transformers", "diffusers", "tensorboard", "PIL", "numpy")
SEEN = f"sorted(set({HEAVY!r}) & set(sys.modules))"


def listed() -> list[Path]:
    """The project's own files: git's list, or in a copy without git everything that .gitignore does not name."""
    asked = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    found = subprocess.run(asked, capture_output=True, text=True) if (ROOT / ".git").exists() else None
    if found and found.returncode == 0:
        return [p for name in found.stdout.split("\0") if name and (p := ROOT / name).is_file()]
    ignored = re.compile(r"(^|/)(\.venv|__pycache__|runs|out|build|dist|\.[a-z_]+_cache|[^/]+\.egg-info)(/|$)")
    return [p for p in ROOT.rglob("*") if p.is_file() and not ignored.search(p.relative_to(ROOT).as_posix())]


FILES = listed()
PYTHON = [p for p in FILES if p.suffix == ".py"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_lists_are_not_empty():
    assert len(PYTHON) > 30 and any(p.name == "records.py" for p in PYTHON)


def test_files_stay_under_400_lines():
    sizes = {name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in PYTHON}
    assert not {k: n for k, n in sizes.items() if n >= 400}


def test_functions_stay_under_60_lines():
    long = {}
    for path in PYTHON:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines >= 60:
                    long[f"{name(path)}:{node.lineno} {node.name}"] = lines
    assert not long


def test_no_dumping_grounds():
    assert not [name(p) for p in PYTHON if re.fullmatch(r"(utils?|helpers?|common|misc)\.py", p.name)]


def test_every_module_says_what_it_is_for():
    modules = [p for p in PYTHON if PACKAGE in p.parents]
    assert not [name(p) for p in modules if not ast.get_docstring(parsed(p))]


def test_importing_likeness_loads_nothing_heavy_and_reads_no_settings():
    assert python(f"import sys, likeness; print({SEEN})") == "[]"


def test_help_of_every_command_loads_nothing_heavy():
    code = f"""
import sys, json, typer
from likeness.cli.main import app
from typer.testing import CliRunner
def walk(command, context, path):
    for name in command.list_commands(context) if hasattr(command, "list_commands") else []:
        inner = command.get_command(context, name)
        yield [*path, name]
        yield from walk(inner, type(context)(inner, info_name=name, parent=context), [*path, name])
command = typer.main.get_command(app)
told = {{}}
for path in [[], *walk(command, command.context_class(command), [])]:
    done = CliRunner().invoke(app, [*path, "--help"])
    told[" ".join(path)] = [done.exit_code, "Usage" in done.output, {SEEN}]
print(json.dumps(told))
"""
    told = json.loads(python(code).splitlines()[-1])
    assert {"", "generate", "inspect", "doctor", "train mini", "evaluate mini"} <= set(told)
    assert {k: v for k, v in told.items() if v != [0, True, []]} == {}


def test_import_contracts_hold():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert len(settings["contracts"]) == 5
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"],
        capture_output=True, text=True, cwd=ROOT, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0 and "5 kept, 0 broken" in done.stdout, done.stdout + done.stderr


def test_the_public_surface_is_sorted_importable_and_documented():
    import likeness

    assert likeness.__all__ == sorted(likeness.__all__) and {"FaceGenerator", "ImageRequest"} <= set(likeness.__all__)
    assert not [n for n in likeness.__all__ if not inspect.getdoc(getattr(likeness, n))]
    assert set(likeness.__all__) <= set(dir(likeness))
    assert (PACKAGE / "py.typed").is_file()
    with pytest.raises(AttributeError):
        likeness.no_such_name  # noqa: B018


def test_every_preset_loads():
    from likeness import config
    from likeness.cli.train import RECIPES, resolve

    found = config.presets()
    assert {"mini", "eye", "judge", "smoke/mini"} <= set(found)
    for preset in found:
        first, _, last = preset.partition("/")
        recipe = last if first == "smoke" else first
        assert recipe in RECIPES
        assert resolve(recipe, preset, {"data": "faces"}, {}, []).data == "faces"


def test_dependencies_are_declared_and_pinned():
    """What the package imports is in pyproject.toml, and what is there has an exact version in constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [d for ds in project["optional-dependencies"].values() for d in ds if not d.startswith("likeness")]
    declared = {re.split(r"[<>=\[ ]", d)[0].lower() for d in [*project["dependencies"], *extras]}
    distribution = {"PIL": "pillow", "yaml": "pyyaml", "skimage": "scikit-image", "huggingface_hub": "huggingface-hub"}
    distribution |= {
        "c2pa": "c2pa-python", "cv2": "opencv-python-headless", "prometheus_client": "prometheus-client",
        "streamlit_drawable_canvas": "streamlit-drawable-canvas",
    }  # fmt: skip
    imported = set()
    for path in PYTHON:
        if PACKAGE in path.parents:
            for node in ast.walk(parsed(path)):
                if isinstance(node, ast.Import):
                    imported |= {a.name.split(".")[0] for a in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    imported.add((node.module or "").split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"likeness"}
    assert {distribution.get(m, m).lower() for m in foreign} <= declared

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert not [line for line in pinned if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]  # no hashes, no local builds
    assert declared <= {line.split("==")[0].lower().replace("_", "-") for line in pinned}


@pytest.fixture(scope="module")
def pages():
    """docs/make_reference.py, which writes the generated pages."""
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tree_in_the_readme_is_true(pages):
    shown = pages.tree()
    rooms = {
        p.name
        for p in PACKAGE.iterdir()
        if p.suffix == ".py" or p.name[0] not in "_." and p.is_dir() and any(p.glob("[!_]*"))
    }
    assert not [r for r in rooms if not re.search(rf"^\s+{re.escape(r)}/?\s", shown, re.M)]
    assert not re.findall(r"^\s+\w+/$", shown.replace("likeness/", ""), re.M), "a room says nothing of itself"
    assert (ROOT / "README.md").read_text(encoding="utf-8") == pages.readme(), "run make docs"


def test_the_command_line_reference_is_true(pages):
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == pages.reference(), "run make docs"


def test_no_path_of_anybodys_machine_is_in_a_file():
    places = r"(home/(?!me\b|somebody\b)|Users/|root/|work/|workspace/|mnt/|scratch/|farm/)"
    paths = re.compile(rf"(?<![\w.>}}])/{places}\w|\.\./shared\b")
    texts = [p for p in FILES if p.suffix not in {".webp", ".png", ".safetensors"} and p.stat().st_size < 5_000_000]
    assert len(texts) > 50
    assert not [f"{name(p)}: {m[0]}" for p in texts if (m := paths.search(p.read_text("utf-8", errors="replace")))]
