"""A model on its way to the hub: the folder that is uploaded, and its upload, which can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import LikenessError, UsageError
from ..files import write_json, write_text
from . import card, card_examples, lora_files, scrub
from .adapters import FILE
from .hub import HUB_ID, hub
from .hub_errors import offline, translated
from .hub_names import INHERITED, LINKS
from .subject import Subject

README = "README.md"
RECIPE = "training_config.yaml"
NOTE = "LICENSE-NOTE.md"
MESSAGE = "Upload by likeness models push"


@contextmanager
def staged(what: Subject, repository: str, extra: card.Extra) -> Iterator[Path]:
    """A temporary folder with exactly what is uploaded: weights, settings without this machine's paths, the card, its
    pictures and reports, and a note on licences.
    """
    with TemporaryDirectory(prefix="likeness-push-") as made:
        folder = Path(made)
        for name, source in what.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _put(what, source, target)
        write_text(folder / README, card.card(what, extra, repository))
        write_text(folder / NOTE, _note(what, extra))
        card_examples.write(extra.examples, folder)
        for report in (*extra.scores, *([extra.audit] if extra.audit else ())):
            write_json(folder / "evaluation" / report.name, report.plain)
        if what.config:
            import yaml

            settings = scrub.scrub(card.public(what.config)) | {"trained": scrub.scrub(what.facts)}
            write_text(folder / RECIPE, yaml.safe_dump(json.loads(json.dumps(settings)), sort_keys=False))
        yield folder


def _put(what: Subject, source: Path, target: Path) -> None:
    if what.kind == "lora" and target.name == FILE and what.told.get("layout") != "diffusers":
        converted = target.parent / f"converted-{target.name}"
        lora_files.convert(source.parent if (source.parent / "adapter_config.json").is_file() else source, converted,
                           "diffusers")  # fmt: skip
        scrub.tensors(converted, target)
        converted.unlink()
    elif source.suffix == ".safetensors":
        scrub.tensors(source, target)
    else:
        target.write_bytes(scrub.settings(source) if source.suffix == ".json" else source.read_bytes())


def _note(what: Subject, extra: card.Extra) -> str:
    short, words = card.license_of(what, extra.license)
    lines = [f"Licence of this model: {words}", LINKS.get(short, ""), INHERITED.get(short, "")]
    if what.base:
        lines.append(f"Base: {what.base}, licence: {what.base_license or card.UNKNOWN}")
    return "\n\n".join(filter(None, lines)) + "\n"


def contents(folder: Path) -> list[tuple[str, int]]:
    """(name, bytes) of what a staging folder holds."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return [(file.relative_to(folder).as_posix(), file.stat().st_size) for file in files]


def check_id(repository: str) -> None:
    """Raises `UsageError` for what is no OWNER/NAME."""
    from huggingface_hub.utils import validate_repo_id

    try:
        if not HUB_ID.fullmatch(repository):
            raise ValueError
        validate_repo_id(repository)
    except ValueError:
        raise UsageError(f"{repository!r} is no repository's name: write OWNER/NAME, such as me/my-faces") from None


def check_licence(what: Subject, extra: card.Extra, private: bool) -> None:
    """Raises `UsageError` when a model would be made public that nobody knows the licence of."""
    if not private and card.license_of(what, extra.license)[1] == card.UNKNOWN:
        raise UsageError("the model's licence is not known, so it is not made public: say it with --license")


def push(
    folder: Path, repository: str, private: bool = True, revision: str | None = None, message: str = MESSAGE
) -> str:
    """Upload a staging folder as one commit; the address of what is there then.

    A repository that is not there is made, `private` unless told otherwise; one that is there keeps its visibility.
    `revision`: a branch, made where it is missing. Weights that have arrived are not sent again, so after an
    interruption the same call goes on. Raises `UsageError` and `Unreachable` with what to do.
    """
    from huggingface_hub import HfApi

    check_id(repository)
    if offline():
        raise UsageError("offline mode is on, so nothing can be uploaded: unset HF_HUB_OFFLINE")
    api = HfApi(endpoint=hub())
    with client_errors(repository):
        api.create_repo(repository, private=private, exist_ok=True)
        if revision:
            api.create_branch(repository, branch=revision, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, revision=revision, commit_message=message)
    return f"{hub()}/{repository}" + (f"/tree/{revision}" if revision else "")


@contextmanager
def client_errors(repository: str) -> Iterator[None]:
    """Turns whatever the hub's client raises into one line."""
    try:
        yield
    except LikenessError:
        raise
    except Exception as error:  # the hub client raises a wide family
        raise translated(repository, error, hub()) from error
