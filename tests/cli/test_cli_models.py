"""`likeness models` and hub ids as --model and --lora, against a hub in miniature."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def hub(tiny, tmp_path_factory):
    """A hub with SD 1.5 (a tiny one, with files beside its parts), another pipeline, and a LoRA; and a cache for it."""
    import shutil

    from hub_server import serve
    from tiny import lora

    folder = tmp_path_factory.mktemp("hub")
    shutil.copytree(tiny("sd15"), folder / "sd15")
    (folder / "sd15" / "v1-5-pruned.safetensors").write_bytes(b"a whole checkpoint that nobody needs")
    lora(tiny("sd15"), folder / "lora")
    with serve(
        {"stable-diffusion-v1-5/stable-diffusion-v1-5": folder / "sd15", "some/faces": tiny("sd15"),
         "some/lora": folder / "lora"}
    ) as (address, asked):  # fmt: skip
        env = os.environ | {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "home")}
        yield {k: v for k, v in env.items() if k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}, asked


def likeness(env, *args):
    return subprocess.run(
        [sys.executable, "-m", "likeness.cli.main", *args], env=env, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow  # a pipeline of its own from a hub of its own; the errors are tested beside it
def test_pull_list_draw_and_remove(hub):
    env, asked = hub
    done = likeness(env, "models", "pull", "sd15")
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert (folder / "unet" / "config.json").is_file() and not (folder / "v1-5-pruned.safetensors").exists()
    rows = {row["name"]: row for row in json.loads(likeness(env, "models", "list", "--json").stdout)}
    assert rows["sd15"]["path"] == str(folder) and rows["sd15"]["bytes"] > 100_000 and rows["sd21"]["path"] is None
    assert "the embedded" not in rows["mini"]["license"] and rows["mini"]["bytes"] > 0
    assert rows["diffyface"]["base"] == "sd21"

    # a hub id that nobody listed is drawn with, its LoRA too; the second time without asking the hub for a file
    command = ["generate", "a man", "--model", "some/faces", "--lora", "some/lora:0.8", "--steps", "1", "--seed", "1"]
    first = likeness(env, *command)
    assert (first.returncode, first.stdout) == (0, "face-1.png\n"), first.stderr
    asked.clear()
    again = likeness(env | {"HF_HUB_OFFLINE": "1"}, *command, "-o", "again.png")
    assert again.returncode == 0 and Path("again.png").is_file() and not asked

    refused = likeness(env, "models", "remove", "sd15")
    assert refused.returncode == 2 and "add --yes" in refused.stderr and folder.is_dir()
    assert likeness(env, "models", "remove", "sd15", "--yes").returncode == 0 and not folder.exists()
    assert "is in the cache" in likeness(env, "models", "remove", "sd15", "--yes").stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["models", "pull", "nobody/nothing"], "there is no such repository"),
        (["models", "pull", "sd1.6"], "did you mean"),
        (["models", "pull", "me/my/faces"], "no OWNER/NAME"),
        (["models", "remove", "mini", "--yes"], "a part of likeness"),
        (["generate", "a man", "--lora", "nobody/nothing"], "there is no such repository"),
    ],
)
def test_what_the_hub_lacks_is_one_line(hub, args, says):
    done = likeness(hub[0], *args)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr
