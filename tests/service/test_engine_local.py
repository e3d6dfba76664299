"""The engine with real worker processes, on tiny pipelines: batches, leaving, crashes, models."""

import asyncio
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import tiny as tiny_models
from likeness.errors import PromptRefused, UsageError
from likeness.generate.generator import FaceGenerator
from likeness.provenance import UNTOUCHED
from likeness.records import ImageRequest
from likeness.service import artist
from likeness.service.engine import Busy, Failed
from likeness.service.local import LocalEngine, cores

LONG = 900  # steps of a batch that is still there when the test comes to it


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def folders(tiny, tmp_path_factory):
    """Two models and a LoRA for the first."""
    folder = tmp_path_factory.mktemp("lora")
    return str(tiny("sd15")), str(tiny("sd21")), tiny_models.lora(tiny("sd15"), folder)


@pytest.fixture(scope="module")
def engine(loop, folders):
    """One worker that keeps one model; pictures without a watermark, to be compared to the bit."""
    first, second, lora = folders
    made = LocalEngine(
        first, (second, "mini"), {"glasses": lora}, device="cpu", workers=1, max_batch=4, queue=8, keep_models=1,
        safety_checker=False, marks=UNTOUCHED,
    )  # fmt: skip
    loop.run_until_complete(made.start())
    yield made
    loop.run_until_complete(made.close())


@pytest.fixture(scope="module")
def generator(folders):
    """In this process, with as many threads as the engine's worker takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(cores())
    yield FaceGenerator(folders[0], device="cpu")
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def ask(folders):
    """A request to the first model."""

    def ask(seed=0, **changes):
        return ImageRequest(**({"prompt": "a man", "seed": seed, "steps": 3, "model": folders[0]} | changes))

    return ask


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture.png)) if hasattr(picture, "png") else picture.image).astype(int)


async def wait_for(handle, kind, step=0):
    async for event in handle.events():
        if event.kind == kind and event.step >= step:
            return event
    raise AssertionError(f"no {kind}: {[event.kind for event in handle.log]}")


def test_a_seed_draws_what_generate_draws(engine, loop, generator, ask):
    """Alone to the bit, in a batch within the rounding of kernels; and they do go in one batch."""

    async def draw():
        (alone,) = await (await engine.submit(ask(5))).result()
        before = engine.depth()["batches"]
        handles = [await engine.submit(ask(seed, prompt=f"a man, {seed}")) for seed in range(4)]
        return alone, [(await handle.result())[0] for handle in handles], engine.depth()["batches"] - before

    alone, together, batches = loop.run_until_complete(draw())
    assert batches == 1 and [one.recipe["drawn"]["batch"] for one in together] == [[row, 4] for row in range(4)]
    assert np.array_equal(pixels(alone), pixels(generator.generate(ask(5))[0]))
    for seed, one in enumerate(together):
        (own,) = generator.generate(ask(seed, prompt=f"a man, {seed}"))
        assert one.seed == seed and np.abs(pixels(one) - pixels(own)).max() <= 2


def test_several_pictures_steps_and_previews(engine, loop, ask):
    async def draw():
        shown = await engine.submit(ask(1, count=2, steps=6), previews=True)
        plain = await engine.submit(ask(9, steps=6))
        return shown, await shown.result(), plain, await plain.result()

    shown, pictures, plain, _ = loop.run_until_complete(draw())
    assert [one.seed for one in pictures] == [1, 2] and {e.index for e in shown.log if e.kind == "picture"} == {0, 1}
    assert [event.step for event in shown.log if event.kind == "step"] == list(range(1, 7))
    looks = [event for event in shown.log if event.kind == "preview"]
    assert {event.index for event in looks} == {0, 1}
    assert all(Image.open(io.BytesIO(event.preview)).format == "JPEG" for event in looks)
    assert not [event for event in plain.log if event.kind == "preview"]
    kinds = [event.kind for event in shown.log]
    assert kinds[:2] == ["queued", "started"] and kinds[-1] == "done"


def test_leaving_a_running_batch_frees_the_place_at_the_next_step(engine, loop, ask):
    async def draw():
        before = engine.depth()
        leaver, mate = [await engine.submit(ask(seed, steps=LONG)) for seed in (1, 2)]
        await wait_for(leaver, "step", 3)
        assert engine.depth()["drawing"] == 2
        leaver.cancel()
        at = (await wait_for(mate, "step", 3)).step
        while engine.depth()["left"] == before["left"]:  # the worker says when the row is out of the batch
            await asyncio.sleep(0.001)
        passed = [event.step for event in mate.log if event.kind == "step"][-1]
        assert engine.depth()["drawing"] == 1 and passed < LONG and not mate.over, at
        mate.cancel()  # now nobody is left: the batch ends, and the worker draws something else
        (other,) = await (await engine.submit(ask(3))).result()
        assert leaver.log[-1].kind == mate.log[-1].kind == "cancelled" and other.seed == 3
        assert engine.depth()["batches"] == before["batches"] + 2

    loop.run_until_complete(draw())


def test_the_deadline_ends_a_running_picture(engine, loop, ask):
    async def draw():
        late = await engine.submit(ask(1, steps=LONG), deadline=0.5)
        with pytest.raises(Failed) as failed:
            await late.result()
        assert failed.value.kind == "expired"
        assert (await (await engine.submit(ask(3), deadline=500)).result())[0].seed == 3

    loop.run_until_complete(draw())


def test_the_queue_is_bounded(engine, loop, ask):
    async def draw():
        busy = await engine.submit(ask(1, steps=LONG))
        await wait_for(busy, "started")
        waiting = [await engine.submit(ask(seed)) for seed in range(8)]
        with pytest.raises(Busy) as full:
            await engine.submit(ask(9))
        assert full.value.retry_after >= 1 and engine.depth()["queued"] == 8
        for handle in (busy, *waiting):
            handle.cancel()
        await asyncio.sleep(0)
        assert engine.depth()["queued"] == 0

    loop.run_until_complete(draw())


def test_a_kill_fails_the_running_batch_only(engine, loop, ask):
    async def draw():
        crashes = engine.depth()["crashes"]
        lost = [await engine.submit(ask(seed, steps=LONG)) for seed in (1, 2)]
        await wait_for(lost[0], "step")
        waiting = await engine.submit(ask(7))
        os.kill(engine.artists[0].process.pid, signal.SIGKILL)
        for one in lost:
            with pytest.raises(Failed) as failed:
                await one.result()
            assert failed.value.kind == "crash"
        assert not engine.ready()
        assert (await waiting.result())[0].seed == 7 and engine.ready()
        assert engine.depth()["crashes"] == crashes + 1

    loop.run_until_complete(draw())


def test_models_come_and_go(engine, loop, folders, ask):
    first, second, _ = folders

    def loaded():
        return [state.name for state in engine.models() if state.loaded]

    async def draw():
        assert loaded() == [first]
        (picture,) = await (await engine.submit(ask(1, model=second))).result()
        assert picture.recipe["request"]["model"] == second and loaded() == [second]  # one is kept
        await engine.unload(second)
        assert loaded() == []
        await engine.load(first)
        assert loaded() == [first] and engine.models()[0].fingerprint
        with pytest.raises(UsageError, match="this server offers"):
            await engine.load("sdxl")

    loop.run_until_complete(draw())


def test_what_is_wrong_never_reaches_the_worker(engine, loop, ask):
    async def refuse(request, error, says):
        with pytest.raises(error, match=says):
            await engine.submit(request)

    before = engine.depth()
    for request, error, says in (
        (ask(model="sdxl"), UsageError, "this server offers"), (ask(prompt=" "), UsageError, "empty"),
        (ask(steps=0), UsageError, "steps must be"), (ask(loras=(("hat", 1.0),)), UsageError, "choose from glasses"),
        (ask(image="/etc/passwd"), UsageError, "not a picture"),
    ):  # fmt: skip
        loop.run_until_complete(refuse(request, error, says))
    loop.run_until_complete(refuse(ask(prompt="a nude child"), PromptRefused, "never draws"))
    assert engine.depth() == before


def test_a_picture_names_no_file_of_the_server(engine, loop, folders, tmp_path, ask):
    """LoRAs by the operator's names, start pictures by their content."""
    start, mask = (Image.new("RGB", (64, 64), color) for color in ("gray", "white"))
    paths = {}
    for part, picture in (("image", start), ("mask", mask)):
        picture.save(tmp_path / "x.png")
        digest = hashlib.sha256((tmp_path / "x.png").read_bytes()).hexdigest()
        paths[part] = str((tmp_path / "x.png").rename(tmp_path / f"{digest}.png"))

    async def draw():
        handle = await engine.submit(ask(1, loras=(("glasses", 0.5),), strength=0.9, **paths))
        plain = await engine.submit(ask(1, strength=0.9, **paths))
        return handle, (await handle.result())[0], plain, (await plain.result())[0]

    handle, picture, plain, other = loop.run_until_complete(draw())
    said = picture.png.decode("latin-1") + str(picture.recipe)
    assert str(tmp_path) not in said and str(folders[2]) not in said
    assert (
        picture.recipe["request"]["image"].startswith("sha256:")
        and picture.recipe["request"]["loras"][0][0] == "glasses"
    )
    assert list(picture.recipe["drawn"]["loras"]) == ["glasses"]
    assert handle.fingerprint != plain.fingerprint and not np.array_equal(pixels(picture), pixels(other))


def test_another_file_is_another_fingerprint(engine, loop, folders, tmp_path, ask):
    """The cache's key changes with the weights that are drawn with."""
    folder = tmp_path / "model"
    shutil.copytree(folders[0], folder)
    one = LocalEngine(str(folder))
    asked = ask(1, model=str(folder))
    request, before = loop.run_until_complete(one.resolve(asked))
    assert request.seed == 1 and request.width == 64
    assert loop.run_until_complete(one.resolve(request)) == (request, before)  # resolving twice is harmless
    shutil.copytree(tiny_models.build("sd15", tmp_path / "other", seed=1), folder, dirs_exist_ok=True)
    other = LocalEngine(str(folder))
    assert loop.run_until_complete(other.resolve(asked))[1] != before


def test_settings_that_cannot_be(folders, loop):
    for settings, says in (
        ({"max_batch": 0}, "max_batch is 1 or more"), ({"queue": 0}, "queue is 1"),
        ({"model": "llava-7b"}, "does not draw"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            LocalEngine(**settings)
    with pytest.raises(UsageError, match="LoRA hat"):
        loop.run_until_complete(LocalEngine(folders[0], loras={"hat": "nowhere.safetensors"}).start())


def test_the_server_process_loads_no_torch():
    code = "import sys; from likeness.service import local; local.LocalEngine(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=600).returncode == 0


def test_a_resolved_request_can_be_submitted_again(engine, loop, ask):
    async def draw():
        resolved, _ = await engine.resolve(replace(ask(), seed=None))
        (picture,) = await (await engine.submit(resolved)).result()
        assert picture.seed == resolved.seed

    loop.run_until_complete(draw())


def test_closing_fails_what_waits(engine, loop, ask, monkeypatch):
    """The last test here, because it ends the engine of the others."""
    monkeypatch.setattr(artist, "PATIENCE", 300)  # a busy machine is no reason to kill

    async def draw():
        running = await engine.submit(ask(1, steps=LONG))
        await wait_for(running, "started")
        waiting = await engine.submit(ask(2))
        process = engine.artists[0].process
        await engine.close()
        assert process.exitcode == 0  # it left by itself
        for one in (running, waiting):
            with pytest.raises(Failed) as failed:
                await one.result()
            assert failed.value.kind == "cancelled"
        with pytest.raises(Failed):
            await engine.submit(ask(3))
        assert not engine.ready()

    loop.run_until_complete(draw())
