"""Loading: exact pixels, texts that stay with their pictures, and draws that depend on (seed, position) alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from likeness.data.buckets import BucketBatches, Buckets
from likeness.data.dataset import FaceDataset
from likeness.data.manifest import Manifest
from likeness.data.mixture import Mixture
from likeness.data.transforms import Transform, generator
from likeness.errors import UsageError
from likeness.grammar import parse
from likeness.models.pixels import to_pixels
from likeness.records import Attributes, FaceRecord


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    records = []
    for i in range(12):
        size = (64, 64) if i < 8 else (96, 48)
        pixels = np.random.default_rng(i).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{i}.png")
        records.append(
            FaceRecord(
                f"images/{i}.png", f"face {i} with a scar on the left cheek", split="test" if i == 11 else "train"
            )
        )
    Manifest(tmp_path).write(records)
    return tmp_path


def test_pixels_are_those_of_the_one_resize(folder: Path):
    faces = FaceDataset.folder(folder, 64)
    assert len(faces) == 12 and len(FaceDataset.folder(folder, 64, split="test")) == 1
    sample = faces[3]
    assert sample["pixel_values"].dtype == torch.float32 and sample["pixel_values"].shape == (3, 64, 64)
    assert torch.equal(sample["pixel_values"], to_pixels([folder / "images/3.png"], 64)[0])  # exact, not resampled
    assert sample["text"] == "face 3 with a scar on the left cheek"
    small = FaceDataset.folder(folder, 32)[3]["pixel_values"]
    assert torch.equal(small, to_pixels([folder / "images/3.png"], 32)[0])
    assert -1 <= small.min() and small.max() <= 1
    wide = FaceDataset.folder(folder, (48, 32))[9]["pixel_values"]
    assert wide.shape == (3, 32, 48)
    centre = Image.open(folder / "images/9.png").resize((64, 64), Image.Resampling.LANCZOS, (24, 0, 72, 48))
    assert torch.equal(faces[9]["pixel_values"], to_pixels([centre], 64)[0])
    assert torch.equal(faces[-1]["pixel_values"], faces[11]["pixel_values"])
    with pytest.raises(IndexError):
        faces[12]


def test_draws_depend_on_seed_and_position_alone(folder: Path):
    def make(seed: int = 7) -> FaceDataset:
        return FaceDataset.folder(folder, 32, transform=Transform("random", 0.5, 0.5), seed=seed)

    one, two = make(), make()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0)).tolist()
    first = {i: one[i] for i in order}
    for i in range(12):
        assert torch.equal(first[i]["pixel_values"], two[i]["pixel_values"]) and first[i]["text"] == two[i]["text"]
    assert any(not torch.equal(first[i]["pixel_values"], make(8)[i]["pixel_values"]) for i in range(12))
    two.set_epoch(1)
    assert any(not torch.equal(first[i]["pixel_values"], two[i]["pixel_values"]) for i in range(12))
    assert torch.equal(two[5]["pixel_values"], one[5, 17]["pixel_values"])  # position = epoch * len + index
    loader = DataLoader(make(), batch_size=4, num_workers=2, multiprocessing_context="fork")
    pixels = torch.cat([batch["pixel_values"] for batch in loader])
    assert torch.equal(pixels, torch.stack([first[i]["pixel_values"] for i in range(12)]))


def test_a_mirrored_picture_has_mirrored_words(folder: Path):
    plain, flipped = FaceDataset.folder(folder, 64), FaceDataset.folder(folder, 64, transform=Transform(flip=1))
    assert torch.equal(plain[2]["pixel_values"].flip(-1), flipped[2]["pixel_values"])
    assert flipped[2]["text"] == "face 2 with a scar on the right cheek"
    half = FaceDataset.folder(folder, 64, transform=Transform(flip=0.5))
    seen = Counter()
    for position in range(400):
        sample = half[2, position]
        mirrored = torch.equal(sample["pixel_values"], flipped[2]["pixel_values"])
        assert mirrored == ("right" in sample["text"])
        seen[mirrored] += 1
    assert 150 < seen[True] < 250


def test_crops_lie_inside_and_reach_every_edge():
    seen = set()
    for position in range(300):
        random = generator(1, position)
        across, down, zoom = random.random(3)
        left, top, right, bottom = Transform("random", 0.5).box((10, 8), (4, 4), across, down, zoom)
        assert 0 <= left < right <= 10 and 0 <= top < bottom <= 8
        assert right - left == bottom - top and 4 <= right - left <= 8
        seen |= {("left", left == 0), ("right", right == 10), ("top", top == 0), ("bottom", bottom == 8)}
    assert len(seen) == 8
    assert Transform().box((10, 8), (4, 4)) == (1, 0, 9, 8)
    assert Transform("none").box((10, 8), (4, 4)) == (0, 0, 10, 8)
    for wrong in ({"crop": "left"}, {"zoom": 0}, {"zoom": 0.5}, {"flip": 2}):
        with pytest.raises(UsageError):
            Transform(**wrong)  # type: ignore[arg-type]


def test_buckets_keep_the_shape_of_pictures(folder: Path):
    buckets = Buckets(64, 16, 2.0)
    assert (64, 64) in buckets.shapes and all(w * h <= 64 * 64 and w % 16 == h % 16 == 0 for w, h in buckets.shapes)
    assert {(h, w) for w, h in buckets.shapes} == set(buckets.shapes)
    assert buckets.shape_for(500, 500) == (64, 64)
    wide, tall = buckets.shape_for(4000, 1000), buckets.shape_for(1000, 4000)
    assert wide[0] / wide[1] <= 2 and tall == wide[::-1]
    faces = FaceDataset.folder(folder, buckets=buckets)
    shapes = faces.shapes()
    assert shapes[0] == (64, 64) and shapes[9][0] / shapes[9][1] == pytest.approx(2, abs=0.35)
    batches = BucketBatches(shapes, 3, seed=5)
    loader = DataLoader(faces, batch_sampler=batches)
    sizes = [batch["pixel_values"].shape for batch in loader]
    assert sum(s[0] for s in sizes) == 12 and {s[1:] for s in sizes} == {(3, h, w) for w, h in set(shapes)}
    assert len(batches) == len(sizes)


def test_bucket_batches_are_resumed_and_shared():
    shapes = [(1, 1)] * 10 + [(2, 1)] * 7
    whole = BucketBatches(shapes, 3, seed=1)
    first = list(whole)
    assert sorted(i for batch in first for i in batch) == list(range(17)) and first == list(whole)
    whole.set_epoch(1)
    assert list(whole) != first
    whole.set_epoch(0, start=3)
    assert list(whole) == first[3:] and len(whole) == len(first) - 3
    shared = [list(BucketBatches(shapes, 3, seed=1, rank=r, world=2)) for r in range(2)]
    assert len(shared[0]) == len(shared[1]) == len(BucketBatches(shapes, 3, rank=1, world=2))
    assert {tuple(b) for part in shared for b in part} == {tuple(b) for b in first}
    full = BucketBatches(shapes, 3, drop_last=True)
    assert all(len(b) == 3 for b in full) and len(full) == len(list(full)) == 5


def test_a_mixture_keeps_its_proportions(folder: Path):
    faces = [
        FaceDataset.folder(folder, 16, split="train"),
        FaceDataset.folder(folder, 16, split="test"),
        FaceDataset.folder(folder, 16),
    ]
    mixed = Mixture([(faces[0], 6), (faces[1], 3), (faces[2], 1)], seed=3)
    drawn = [mixed.where(p) for p in range(5000)]
    for start in (0, 1234):
        share = Counter(m for m, _ in drawn[start : start + 1000])
        assert [round(share[m] / 1000, 1) for m in range(3)] == [0.6, 0.3, 0.1]
    for member in (0, 2):  # a member's pictures come all before one comes again
        mine = [p for m, p in drawn if m == member]
        count = len(faces[member])
        for i in range(0, len(mine) - count, count):
            assert sorted(mine[i : i + count]) == list(range(count))
    again = Mixture([(faces[0], 6), (faces[1], 3), (faces[2], 1)], seed=3)
    assert [again.where(p) for p in (4999, 17, 2500, 0)] == [drawn[p] for p in (4999, 17, 2500, 0)]
    assert len(mixed) == 24 and mixed[5]["text"] == again.at(5)["text"]
    mixed.set_epoch(1)
    assert mixed[5]["text"] == again.at(29)["text"]
    with pytest.raises(IndexError):
        mixed[24]
    tiny = Mixture([(faces[0], 1000), (faces[1], 1)])
    assert Counter(tiny.where(p)[0] for p in range(10_010))[1] == 10
    for wrong in ([], [(faces[0], 0)], [(faces[0], 1), (FaceDataset.folder(folder, 8), 1)]):
        with pytest.raises(UsageError):
            Mixture(wrong)


def test_words_come_from_the_row_else_from_the_attributes(tmp_path: Path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images/0.png")
    Manifest(tmp_path).write([FaceRecord("images/0.png", "", Attributes(gender="female", hair_color="red"))])
    texts = {FaceDataset.folder(tmp_path, 8)[0, position]["text"] for position in range(30)}
    assert all(parse(t).attributes.hair_color == "red" for t in texts) and len(texts) > 1
    shouted = FaceDataset.folder(
        tmp_path, 8, captions=lambda text, attributes, seed: f"{attributes.gender} {seed >= 0}"
    )
    assert shouted[0]["text"] == "female True"


def test_the_shipped_faces_load(faces: Path):
    data = FaceDataset.folder(faces, 128, split="test")
    assert len(data) == 673 and data[0]["pixel_values"].shape == (3, 128, 128) and data[0]["text"]


def test_a_broken_picture_is_named_with_the_remedy(folder: Path):
    (folder / "images/5.png").write_bytes((folder / "images/5.png").read_bytes()[:1000])
    with pytest.raises(UsageError, match="5.png.*verify --fix"):
        FaceDataset.folder(folder, 16)[5]
    with pytest.raises(UsageError):
        FaceDataset.folder(folder / "nothing", 16)
    with pytest.raises(UsageError):
        FaceDataset.folder(folder, 16, split="nothing")


def test_hugging_face_reads_the_folder_and_we_read_hugging_face(folder: Path, tmp_path_factory, monkeypatch):
    """Unmodified: every row with its picture, its text and its columns. Then the same samples through `datasets`."""
    datasets = pytest.importorskip("datasets")
    cache = str(tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", Path(cache))
    found = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=cache)["train"]
    assert len(found) == 12 and {"image", "text", "split"} <= set(found.column_names)
    assert [row["text"] for row in found] == [r.text for r in Manifest(folder).records()]
    ours = FaceDataset.folder(folder, 32, transform=Transform("random", 0.8, 0.5), seed=4)
    for theirs in (
        FaceDataset.hub(found, 32, transform=Transform("random", 0.8, 0.5), seed=4),
        FaceDataset.hub(str(folder), 32, transform=Transform("random", 0.8, 0.5), seed=4),
    ):
        assert len(theirs) == 12
        for i in (0, 5, 11):
            assert (
                torch.equal(theirs[i]["pixel_values"], ours[i]["pixel_values"]) and theirs[i]["text"] == ours[i]["text"]
            )
    with pytest.raises(UsageError, match="no column 'caption'"):
        FaceDataset.hub(found, text="caption")
    with pytest.raises(UsageError, match="cannot load"):
        FaceDataset.hub(str(folder / "nothing"))


def test_hugging_face_reads_what_merge_made_of_awkward_members(tmp_path: Path):
    """Names with split words, columns of two kinds, columns that only some rows have."""
    datasets = pytest.importorskip("datasets")
    from likeness.data.merge import merge

    for number, extra in enumerate(({"q": 1}, {"q": "one"}, {})):
        member = tmp_path / str(number)
        (member / "images").mkdir(parents=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(member / "images" / f"train_{number}.png")
        Manifest(member).write([FaceRecord(f"images/train_{number}.png", f"text {number}", extra=extra)])
    merge([tmp_path / "0", tmp_path / "1", tmp_path / "2"], tmp_path / "out")
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))[
        "train"
    ]
    assert [row["text"] for row in found] == ["text 0", "text 1", "text 2"] and list(found["q"]) == ["1", "one", None]
