"""`likeness models card | push | pull`, as a user types them, against a hub in miniature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from hub_server import Fault, join, running
from likeness.cli.main import main
from likeness.models import registry


@pytest.fixture
def served(tmp_path, monkeypatch):
    with running(tokens={"right"}) as found:
        join(monkeypatch, found, tmp_path / "home")
        yield found


def typed(capsys, *args, code=0):
    """What a command prints on stdout and stderr."""
    capsys.readouterr()
    assert main(["models", *map(str, args)]) == code
    return capsys.readouterr()


def test_a_dry_run_lists_files_and_sends_nothing(served, capsys):
    told = typed(capsys, "push", "mini", "me/mini", "--dry-run")
    assert "unet/diffusion_pytorch_model.safetensors" in told.out and "README.md" in told.out
    assert "Nothing was uploaded" in told.err and "private" in told.err
    assert not served.asked
    facts = json.loads(
        typed(capsys, "push", "mini", "me/mini", "--dry-run", "--json", "--public", "--license", "mit").out
    )
    assert facts["private"] is False and facts["files"]["model_index.json"] > 100


def test_a_model_goes_up_comes_down_and_is_checked(served, capsys):
    url = typed(capsys, "push", registry.ASSETS / "judge", "me/judge", "--license", "cc-by-4.0", "--data", "FairFace.")
    assert url.out == f"{served.address}/me/judge\n"
    repository = served.repositories["me/judge"]
    sha = repository.branches["main"]
    readme = repository.files(sha)["README.md"].decode()
    assert ModelCard(readme).data.to_dict()["license"] == "cc-by-4.0" and "FairFace." in readme
    planned = typed(capsys, "pull", "me/judge", "--dry-run").out
    assert "to come" in planned and "model.safetensors" in planned
    place = Path(typed(capsys, "pull", "me/judge", "--revision", sha).out.strip())
    assert (place / "model.safetensors").read_bytes() == (registry.ASSETS / "judge" / "model.safetensors").read_bytes()
    wrong = typed(capsys, "pull", "me/judge", "--sha256", "0" * 64, code=2)
    assert "Nothing was removed" in wrong.err and (place / "model.safetensors").is_file()
    served.faults = [Fault("models/", 503, times=99)]
    assert "HTTP 503" in typed(capsys, "pull", "me/judge", code=1).err  # nobody's fault here: 1, not 2


def test_a_card_is_written_and_somebodys_own_is_kept(capsys, tmp_path):
    target = tmp_path / "README.md"
    assert typed(capsys, "card", "mini", "-o", target).out.strip() == str(target)
    first = target.read_text()
    assert typed(capsys, "card", "mini", "-o", tmp_path).out and target.read_text() == first  # ours is renewed
    assert typed(capsys, "card", "mini").out == first
    target.write_text("my own words")
    assert "written by somebody" in typed(capsys, "card", "mini", "-o", target, code=2).err
    typed(capsys, "card", "mini", "-o", target, "--overwrite", "--title", "Faces")
    assert "# Faces" in target.read_text()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["pull", "me/my/faces"], "no OWNER/NAME"),
        (["pull", "mini", "--revision", "main"], "has no revisions"),
        (["pull", "mini", "--sha256", "abc"], "64 hexadecimal"),
        (["push", "mini", "faces"], "write OWNER/NAME"),
        (["push", "nothing", "me/faces"], "there is no nothing"),
        (["push", "mini", "me/faces"], "does not know your token"),
        (["card", "mini", "--scores", "no.json"], "cannot read no.json"),
        (["card", "mini", "--examples", "none"], "there is no none"),
    ],
)
def test_what_the_user_can_mend_is_one_line(served, capsys, monkeypatch, args, says):
    monkeypatch.setenv("HF_TOKEN", "wrong")
    told = typed(capsys, *args, code=2).err
    assert says in told and told.count("\n") == 1


def test_who_is_not_logged_in_is_told_how(served, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert "hf auth login" in typed(capsys, "push", "mini", "me/faces", code=2).err


def test_a_model_of_unknown_licence_is_not_made_public(capsys, tmp_path, tiny):
    assert "--license" in typed(capsys, "push", tiny("sd15"), "me/faces", "--public", code=2).err


def test_pictures_are_not_published(capsys, faces):
    assert "set of pictures" in typed(capsys, "push", faces, "me/faces", code=2).err
