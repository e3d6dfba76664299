"""Two sets of pictures: identical ones, halves, workers that share a cache, and pictures that are out of order."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image

from likeness.cli.main import main
from likeness.errors import UsageError
from likeness.evaluate.formulas.moments import Moments
from likeness.evaluate.networks.catalogue import Network, find
from likeness.evaluate.networks.weights import Found
from likeness.evaluate.sets import report as sets_report
from likeness.evaluate.sets import run as sets_module
from likeness.evaluate.sets import statistics
from likeness.evaluate.sets.run import compare, compare_sets, halves
from likeness.evaluate.sets.statistics import Measured, measure, scan, share


@pytest.fixture
def network(eye, tmp_path):
    """A tiny CLIP in the place of a network of the table; `seen` counts what it looked at."""
    seen: list[int] = []

    def embed(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(len(pixels))
        return eye.image_features(pixels)

    made = Network(find("eye"), Found(tmp_path / "weights", "0" * 64, False), embed, eye.text_features, eye.runtime)
    object.__setattr__(made, "seen", seen)
    return made


@pytest.fixture
def real(some_faces, tmp_path):
    return shutil.copytree(some_faces / "images", tmp_path / "real")


@pytest.fixture
def noisy(real, tmp_path):
    """The same faces, most of each hidden under noise of its own."""
    folder = tmp_path / "noisy"
    folder.mkdir()
    for path in sorted(real.iterdir()):
        image = Image.open(path).convert("RGB")
        Image.blend(image, Image.effect_noise(image.size, 90).convert("RGB"), 0.8).save(folder / f"{path.stem}.png")
    return folder


def numbers(found, faces="drawn"):
    return {s.metric.split("/")[0]: s for s in found.scores() if s.metric.endswith(faces)}


def gaussian_set(n: int, seed: int, shift: float = 0.0, size: int = 8) -> Measured:
    features = torch.randn(n, size, generator=torch.Generator().manual_seed(seed)) + shift
    return Measured(features, Moments.of(features), torch.arange(n) + 10_000 * seed)


def test_a_set_is_at_nought_from_itself(network, real):
    found = compare_sets(real, real, [network], floor=False)
    got = {name: s.value for name, s in numbers(found).items()}
    for distance in ("frechet", "kid", "cmmd"):
        assert got[distance] == pytest.approx(0, abs=1e-6)
    for portion in ("precision", "recall", "density", "coverage"):
        assert got[portion] == pytest.approx(1)
    assert any("24 pictures lie in both sets" in note for note in found.notes)


def test_every_score_stands_alone(network, real, noisy):
    """Count, interval around the value, and a protocol that names network, weights and resize."""
    found = compare_sets(noisy, real, [network])
    scores = found.scores()
    assert len(scores) == 16 and {s.metric.split("/")[2] for s in scores} == {"drawn", "floor"}
    for s in scores:
        assert s.low <= s.value <= s.high and s.count in (12, 24)
        assert "OFFLINE stand-in" in s.protocol and "Lanczos" in s.protocol and "interval" in s.protocol
    drawn, floor = numbers(found), numbers(found, "floor")
    for distance in ("frechet_infinity", "kid", "cmmd"):  # noise is further away than one half from the other
        assert drawn[distance].low > floor[distance].value
    assert any("Only 24 pictures" in note for note in found.notes)


def test_halves_of_a_set_give_the_floor(network):
    """No distance is left where there is none, and every interval says so; 5 of 6 numbers at the rate of 95 %."""
    both = halves(gaussian_set(600, 1))
    assert [len(half) for half in both] == [300, 300] and not set(both[0].ids.tolist()) & set(both[1].ids.tolist())
    got = {s.metric.split("/")[0]: s for s in compare(*both, network, "floor").scores}
    for distance in ("frechet_infinity", "kid", "cmmd"):
        assert got[distance].low <= 0 <= got[distance].high
    assert got["frechet"].low > 0  # what the bias does
    moved = {s.metric.split("/")[0]: s for s in compare(gaussian_set(300, 2, 0.5), both[1], network).scores}
    for distance in ("frechet_infinity", "kid", "cmmd"):
        assert moved[distance].low > 0
    assert moved["frechet_infinity"].low <= 8 * 0.5**2 <= moved["frechet_infinity"].high


def test_too_small_a_sample_is_warned_of(network):
    few = compare(gaussian_set(20, 1, size=30), gaussian_set(20, 2, size=30), network)
    assert any("covariance is singular" in note for note in few.notes)
    assert any("small-sample bias" in note for note in few.notes)
    tiny = compare(gaussian_set(2, 1), gaussian_set(2, 2), network)
    assert not tiny.scores and any("four images" in note for note in tiny.notes)


def test_workers_that_share_a_cache_equal_one(network, real, tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "BLOCK", 5)
    found = scan(real)
    alone = measure(network, found)
    done = [share(network, found, tmp_path / "cache", worker, 2) for worker in (0, 1)]
    assert done == [14, 10]  # blocks 0, 2, 4 and blocks 1, 3
    network.seen.clear()
    together = measure(network, found, tmp_path / "cache")
    assert not network.seen  # nothing is measured twice
    assert torch.equal(together.features, alone.features)
    assert (together.moments.mean - alone.moments.mean).abs().max() < 1e-9
    assert (together.moments.scatter - Moments.of(alone.features).scatter).abs().max() < 1e-9
    with pytest.raises(UsageError, match="worker 3 of 2"):
        share(network, found, tmp_path / "cache", 2, 2)


def test_the_cache_goes_by_content_and_by_network(network, real, tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "BLOCK", 8)
    cache = tmp_path / "cache"
    before = measure(network, scan(real), cache)
    first, *_, last = sorted(real.iterdir())
    shutil.copy(first, real / f"{last.stem}{first.suffix}")  # the last face is another one now
    network.seen.clear()
    after = measure(network, scan(real), cache)
    assert sum(network.seen) == 8  # its block alone
    assert torch.equal(after.features[:16], before.features[:16])
    assert torch.allclose(after.features[-1], after.features[0], atol=1e-5) and after.ids[-1] == after.ids[0]
    retrained = replace(network, found=Found(tmp_path, "1" * 64, False))
    network.seen.clear()
    measure(retrained, scan(real), cache)
    assert sum(network.seen) == 24
    for file in cache.iterdir():
        file.write_bytes(b"torn")
    assert torch.allclose(measure(network, scan(real), cache).features, after.features, atol=1e-5)


def test_pictures_that_are_not_as_they_should_be(network, real, noisy, tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        compare_sets(tmp_path / "none", real, [network])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no pictures"):
        compare_sets(tmp_path / "empty", real, [network])
    (tmp_path / "one").mkdir()
    shutil.copy(next(real.iterdir()), tmp_path / "one")
    with pytest.raises(UsageError, match="the drawn set is one picture"):
        compare_sets(tmp_path / "one", real, [network])
    Image.open(noisy / sorted(noisy.iterdir())[0]).convert("L").resize((64, 64)).save(noisy / "grey.png")
    shutil.copy(noisy / "grey.png", noisy / "copy.png")
    notes = " ".join(compare_sets(noisy, real, [network], floor=False).notes)
    assert "2 sizes, 128x128 px (24), 64x64 px (2)" in notes and "2 of the drawn pictures are grey" in notes
    assert "1 of the drawn pictures are copies" in notes and "smaller than the 128 px" in notes
    (noisy / "broken.png").write_bytes(b"\x89PNG broken")
    (noisy / "worse.png").write_bytes(b"")
    with pytest.raises(UsageError, match=r"broken\.png \(and 1 more\) cannot be opened"):
        compare_sets(noisy, real, [network])


def test_pictures_in_memory_count_as_those_on_disk(network, real):
    files = sorted(real.iterdir())
    held = measure(network, scan([Image.open(path) for path in files]))
    assert torch.allclose(held.features, measure(network, scan(files)).features, atol=1e-5)
    assert len(set(held.ids.tolist())) == 24


def test_large_sets_are_sampled_where_work_grows_with_the_square(network, monkeypatch):
    monkeypatch.setattr(sets_module, "MOST", 50)
    found = compare(gaussian_set(200, 1), gaussian_set(120, 2), network)
    told = {s.metric.split("/")[0]: s.protocol for s in found.scores}
    assert "50 and 50" in told["kid"] and "50 pictures of each set" in told["recall"]
    assert "200 and 120 pictures" in told["frechet"]


def test_what_is_written_can_be_read_and_looked_at(network, real, noisy, tmp_path):
    found = compare_sets(noisy, real, [network])
    written = sets_report.write(found, tmp_path / "out")
    assert [path.name for path in written] == ["sets.json", "sets.txt", "sets.png", "extremes.png"]
    told = json.loads(written[0].read_text(encoding="utf-8"))
    assert len(told["scores"]) == 16 and set(told["frechet_by_share"]) == {"eye/drawn", "eye/floor"}
    text = written[1].read_text(encoding="utf-8")
    assert "OFFLINE stand-in" in text and "Frechet distance, bias taken away" in text and "| " not in text
    for path in written[2:]:
        image = Image.open(path).convert("L")
        assert min(image.size) > 100 and image.getextrema()[0] < 128  # something is drawn on the white
    assert len(found.least) == len(found.missed) == 12


def test_the_command(real, noisy, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LIKENESS_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    ask = ["evaluate", "sets", str(noisy), str(real), "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    assert main([*ask, "--share", "1/1"]) == 0
    kept = sorted((tmp_path / "cache").iterdir())
    assert len(kept) == 2 and "Measured 48 pictures" in capsys.readouterr().err
    assert main([*ask, "--json", "--output", "out"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {s["metric"] for s in told["scores"]} >= {"frechet/eye/drawn", "cmmd/eye/floor"}
    assert sorted((tmp_path / "cache").iterdir()) == kept
    assert main([*ask, "--network", "inception"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: inception cannot measure") and "6726825d0af5f729" in said
    assert main([*ask, "--share", "3/2"]) == 2 and main([*ask, "--share", "1/2", "--no-keep"]) == 2
    assert main(["evaluate", "networks"]) == 0
    rows = capsys.readouterr().out
    assert "pt_inception-2015-12-05-6726825d.pth" in rows and "alexnet-owt-7be5be79.pth" in rows
