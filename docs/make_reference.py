"""Write docs/cli.md from the commands, docs/models.md from the registry, and the tree in the README from the files.

`make docs` runs this; a test fails when either is out of date. `--check` only tells, and ends with 1 if one is.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "likeness"
START, END = "<!-- tree: written by `make docs` -->\n```text\n", "```\n<!-- /tree -->\n"

# What has no docstring. A path that does not exist (yet) is left out.
TOLD = {
    "Makefile": "face, test, check, smoke, torture, browser, bench, docs, clean",
    "pyproject.toml": "dependencies, entry point, ruff, mypy, import contracts",
    "constraints.txt": "exact versions of everything",
    "CHANGELOG.md": "what users will notice",
    "LICENSE": "Apache-2.0",
    ".ci/run": "what continuous integration runs",
    "docs/cli.md": "every command and option",
    "docs/index.md": "where to read what; mkdocs.yml makes a site of these pages",
    "docs/install.md": "pip, uv, conda, extras, GPUs, proxies",
    "docs/tutorial.md": "from nothing to a fine-tuned model; tutorial.py runs it",
    "docs/troubleshooting.md": "symptom, cause, what to do",
    "docs/migrate.md": "coming from diffusers' scripts, kohya-ss, A1111",
    "docs/ethics.md": "what the models must not be used for, and what the data are",
    "docs/models.md": "every model by name",
    "docs/python.md": "the public names",
    "docs/data.md": "from pictures or public sets to a clean folder of faces",
    "docs/captions.md": "every face described: captioners, teams, review",
    "docs/lora.md": "fine-tuning, and the files that come out of it",
    "docs/generate.md": "drawing: LoRAs, emphasis, tables of prompts, memory",
    "docs/from_scratch.md": "models of your own, from scratch, by group",
    "docs/from_face.md": "variations of a face, from a photo",
    "docs/mix.md": "hybrids of groups, blends of prompts, films",
    "docs/evaluate.md": "numbers: pairs, sets, prompts, audit, groups",
    "docs/service.md": "the HTTP API, and what keeps it safe",
    "docs/page.md": "the web page",
    "docs/provenance.md": "the marks on every picture, and what they survive",
    "docs/hub.md": "model cards, upload, download",
    "docs/deploy.md": "Docker, compose, a cloud machine, Spaces",
    "deploy/": "what that page is about",
    "docs/REPORT.md": "the algorithms and what they gave",
    "notebooks/data_pipeline.ipynb": "a team member's part, from faces to captions",
    "notebooks/inference.ipynb": "drawing, in Jupyter and Colab",
    "docs/LOG.md": "experiments with their numbers, failures included",
    "docs/make_reference.py": "writes cli.md, models.md and this tree",
    "docs/formulas.py": "the site's formulas as MathML",
    "docs/images/": "pictures in these pages",
    "benchmarks/": "what the performance tables are made with",
    "tests/": "mirrors src/likeness",
    "src/likeness/": "",
}
FOLDERS = {
    "assets": "the models that are part of the package, with their cards, and the test faces",
    "caption": "every face described, by a model, from labels, or by a team",
    "prompts": "what the models are asked, with versions",
    "cli": "one file per noun: parse, call, print",
    "data": "faces and their labels, read and prepared",
    "evaluate": "networks, formulas, adherence; pairs, sets, prompts, audit, groups, compare; charts, reports",
    "generate": "a request becomes a picture",
    "grammar": "Attributes <-> English",
    "launch": "where a run happens",
    "models": "networks, families, and the registry of names",
    "presets": "settings as YAML, one row per model and recipe; smoke/ is for a few steps of each",
    "recipes": "one file per model that can be trained",
    "routes": "one file per noun",
    "service": "the HTTP service",
    "store": "history, cache and keys in SQLite or PostgreSQL; pictures as files under their hash",
    "train": "one loop, and what it is fed",
    "ui": "the web page",
}  # fmt: skip


def reference() -> str:
    """docs/cli.md: each command with its help, arguments and options."""
    import typer

    from likeness.cli.main import app

    command: Any = typer.main.get_command(app)
    head = (
        "# Command line\n\nWritten by `make docs` from the commands themselves. Errors are one line on stderr; the\n"
        "exit code is 0, 2 (the caller can mend it) or 1.\n"
    )
    context = command.context_class(command, info_name="likeness")
    return "\n".join([head, *_sections(command, "likeness", context)])


def _sections(command: Any, path: str, context: Any) -> Iterator[str]:
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    usage = " ".join(command.collect_usage_pieces(context))
    text = f"## `{path}`\n\n{_plain(command.help)}\n\n```sh\n{path} {usage}\n```\n"
    rows = [_row(p, context) for p in command.get_params(context) if not getattr(p, "hidden", False)]
    if rows := [r for r in rows if not r.startswith(("| `--help`", "| `--install", "| `--show-comp"))]:
        text += "\n| | |\n|---|---|\n" + "\n".join(rows) + "\n"
    yield text
    for name in names:
        inner = command.get_command(context, name)
        if not getattr(inner, "hidden", False):
            yield from _sections(inner, f"{path} {name}", type(context)(inner, info_name=name, parent=context))


def _row(parameter: Any, context: Any) -> str:
    if parameter.param_type_name == "argument":
        name = f"`{(parameter.metavar or parameter.name).upper()}`"
    else:
        name = ", ".join(f"`{o}`" for o in [*parameter.opts, *parameter.secondary_opts])
    told = _plain(getattr(parameter, "help", None))
    default = parameter.default
    if isinstance(default, str | int | float) and not isinstance(default, bool) and default != "":
        told = f"{told} Default: {default}.".strip()
    if parameter.required:
        told = f"{told} Required.".strip()
    return f"| {name} | {told} |".replace("\n", " ")


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


MODELS = """# Models

Names for `--model`, written by `make docs` from the registry. Besides them: any Stable Diffusion 1.5, 2.1 or SDXL
pipeline of the hub by its id, a folder, or a checkpoint in one `.safetensors` file. Stable Diffusion, LLaVA, DINOv2 and
CLIP are fetched at first use, or by `likeness models pull`; the first id that can be had counts, at the revision given.
Their licences are their owners', and bind what you make of them.

```sh
likeness models list
likeness models pull sd15
likeness generate "a smiling woman" --model sd15
```
"""
KINDS = {
    "mini": "draws, embedded", "llava": "captions", "dinov2": "features, conditioning", "clip": "features, scores",
    "lora": "LoRA",
}  # fmt: skip


def models() -> str:
    """docs/models.md: the registry as a table."""
    from likeness.models.registry import MODELS as REGISTRY

    head = "| name | what | for | pixels | licence | where from |\n|---|---|---|---|---|---|\n"
    lines = []
    for spec in REGISTRY.values():
        at = f" at `{spec.revision[:12]}`" if spec.revision else ""
        ids = ", else ".join(f"`{hub_id}`{at if i == 0 else ''}" for i, hub_id in enumerate(spec.hub_ids))
        kind = KINDS.get(spec.family, "draws") + (f" on `{spec.base}`" if spec.base else "")
        title = f"{spec.title}, adults only" if spec.adults_only else spec.title
        lines.append(f"| `{spec.name}` | {title} | {kind} | {spec.size} | {spec.license} | {ids or 'the package'} |\n")
    tail = """
`eye` (features, scores, image conditioning) and `judge` (attributes, for measuring only) come with the package too;
their cards lie beside their weights in `src/likeness/assets/`. `likeness generate --model mini` says when it is asked
for something that it never saw. Weights for measuring that no hub has (Inception, LPIPS): [evaluate.md](evaluate.md).

How good `mini` is, with intervals and protocol, is in its card, `src/likeness/assets/mini/README.md`;
`likeness evaluate mini` measures it anew.
"""
    return MODELS + "\n" + head + "".join(lines) + tail


def tree() -> str:
    """The files, one line each, with what they are for."""
    lines = []
    for path, told in TOLD.items():
        if not (ROOT / path).exists() and path != "docs/cli.md":
            continue
        lines.append((path, told))
        if path == "src/likeness/":
            lines += list(_package(PACKAGE, 1))
        if path == "benchmarks/":
            lines += [(f"  {p.name}", _first_line(p)) for p in sorted((ROOT / path).glob("*.py"))]
    width = max(len(name) for name, _ in lines) + 2
    return "".join(f"{name:<{width}}{told}".rstrip() + "\n" for name, told in lines)


def _package(folder: Path, depth: int) -> Iterator[tuple[str, str]]:
    """Modules first, then the rooms; `assets` and `presets` are told in one line."""
    indent = "  " * depth
    for file in sorted(folder.glob("*.py")):
        if file.name != "__init__.py" or depth == 1:
            yield f"{indent}{file.name}", _first_line(file)
    for room in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._"):
        if any(room.iterdir()):
            init = room / "__init__.py"
            yield f"{indent}{room.name}/", FOLDERS.get(room.name) or (_first_line(init) if init.exists() else "")
            if room.name not in ("assets", "presets"):
                yield from _package(room, depth + 1)


def _first_line(file: Path) -> str:
    """The first clause of the module's docstring, so that a file says what it is for in one place only."""
    text = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")[0]
    text = re.sub(r"^`\w+`: ", "", text)
    for mark in (r"(?<!et al)\. ", "; ", ": ", ", "):
        head = re.split(mark, text)[0]
        text = head if len(head) > 12 and (mark != ", " or len(text) > 90) else text
    return text.rstrip(".:;")


def readme() -> str:
    """README.md with the tree as it is now."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}{tree()}{END}{after}"


def main(check: bool) -> int:
    stale = 0
    docs = ROOT / "docs"
    for path, text in ((docs / "cli.md", reference()), (docs / "models.md", models()), (ROOT / "README.md", readme())):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = 1
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)} {'is out of date: run make docs' if check else 'written'}")
    return stale if check else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
