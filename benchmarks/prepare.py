"""Images per second of `likeness data prepare` against the single-process PIL loop of the field's scripts.

(a) PNG, 1024 px -> 768 px, no detection. (b) JPEG of 2048 px and more, faces found by MTCNN, levelled, 768 px.
Both write with the same codec and settings; `loop_plain` and `loop_faces` below are the whole of the other side.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZE, LEVEL = 768, 3
GOALS = {"png": 1.8, "jpeg": 3.0}  # on two cores
WHOLE = 265_000  # FFHQ, EasyPortrait and 156,000 of LAION-Face
PORTRAITS = Path(__file__).parent.parent / "tests" / "data" / "fixtures" / "portraits"


def loop_plain(paths: list[Path], output: Path) -> None:
    """What scripts do: open, resize, save, one after the other."""
    from PIL import Image

    for path in paths:
        image = Image.open(path).convert("RGB")
        image.resize((SIZE, SIZE), Image.Resampling.LANCZOS).save(output / f"{path.stem}.png", compress_level=LEVEL)


def loop_faces(paths: list[Path], output: Path, squares: dict[str, Any]) -> None:
    """The same with faces: the whole picture decoded, searched and cut. `squares`: where it cut, for the comparison."""
    from PIL import Image, ImageOps

    from likeness.data.crop import CropConfig, choose_faces, cut, frame
    from likeness.data.detect import make_detector

    config = CropConfig(size=SIZE)
    detector = make_detector("mtcnn", longest=1_000_000)  # no small copy
    for path in paths:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        for face in choose_faces(detector.detect(image), config):
            squares[path.stem] = frame(image.size, face, config)
            cut(image, squares[path.stem], config).save(output / f"{path.stem}.png", compress_level=LEVEL)


def ours(source: Path, output: Path, faces: bool, workers: int) -> dict[str, float]:
    """Seconds in all, and images per second once the workers run."""
    from likeness.config import build
    from likeness.data.prepare import Feed, prepare
    from likeness.data.recipe import NO_FILTERS, PrepareConfig

    marks: list[tuple[int, float]] = []
    values = {
        "detector": "mtcnn" if faces else "none", "crop": {"size": SIZE}, "level": LEVEL, "filters": vars(NO_FILTERS),
    }  # fmt: skip

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "preparing" and done:
            marks.append((done, time.perf_counter()))

    start = time.perf_counter()
    prepare([Feed("folder", str(source))], output, build(PrepareConfig, values), workers=workers, progress=tell)
    seconds = time.perf_counter() - start
    (first, began), (last, ended) = marks[min(workers, len(marks) - 2)], marks[-1]
    return {"seconds": seconds, "rate": (last - first) / (ended - began), "whole": last / seconds}


def material(folder: Path, portraits: Path, side: int, suffix: str, count: int) -> list[Path]:
    """`count` pictures of `side` px and more, drawn from portraits; no two alike."""
    from PIL import Image, ImageEnhance

    folder.mkdir()
    names = sorted(p for p in portraits.iterdir() if p.suffix == ".jpg" and "fairface" not in p.name)
    if not names:
        sys.exit(f"no .jpg portraits in {portraits}")
    paths = []
    for i in range(count):
        image = Image.open(names[i % len(names)]).convert("RGB")
        long = side + (i % 5) * 160 if suffix == "jpg" else side
        image = ImageEnhance.Brightness(image).enhance(1 + 0.02 * (i // len(names)))
        image = image.resize((long, long), Image.Resampling.BICUBIC)
        paths.append(folder / f"{i:05d}.{suffix}")
        image.save(paths[-1], **({"quality": 92} if suffix == "jpg" else {"compress_level": 1}))
    return paths


def agreement(one: Path, other: Path) -> float:
    """Peak signal-to-noise ratio of two pictures in dB."""
    import numpy as np
    from PIL import Image

    a, b = (np.asarray(Image.open(p).convert("RGB"), np.float64) for p in (one, other))
    if a.shape != b.shape:
        return 0.0
    error = float(((a - b) ** 2).mean())
    return 99.0 if error == 0 else 10 * math.log10(255**2 / error)


def pooled(decibels: list[float]) -> float:
    """The ratio of the mean squared error over all pictures."""
    return -10 * math.log10(sum(10 ** (-d / 10) for d in decibels) / len(decibels)) if decibels else 0.0


def compare_faces(paths: list[Path], made: Path, loop: Path, theirs: dict[str, Any]) -> tuple[list[float], list[float]]:
    """dB between the two sides' own pictures, and how far their squares are apart, as a part of their side."""
    from likeness.data.crop import Square
    from likeness.data.manifest import Manifest

    found, apart = [], []
    rows = {Path(r.file_name).stem: r for r in Manifest(made).records()}
    for path in paths:
        if path.stem not in rows or path.stem not in theirs:
            continue
        row, other = rows[path.stem], theirs[path.stem]
        square = Square(*row.extra["crop"])
        found.append(agreement(made / row.file_name, loop / f"{path.stem}.png"))
        apart.append(math.hypot(square.x - other.x, square.y - other.y) / other.side)
    return found, apart


def measure(place: Path, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    faces = kind == "jpeg"
    source = place / kind
    paths = material(source, options.portraits, 2048 if faces else 1024, "jpg" if faces else "png", options.count)
    theirs: dict[str, Any] = {}
    rates, wholes, loops = [], [], []
    for turn in range(options.repeat):  # taking turns, so that a busy minute hits both sides
        loop, made = place / f"{kind}-loop{turn}", place / f"{kind}-ours{turn}"
        loop.mkdir()
        start = time.perf_counter()
        loop_faces(paths, loop, theirs) if faces else loop_plain(paths, loop)
        loops.append(len(paths) / (time.perf_counter() - start))
        found = ours(source, made, faces, options.workers)
        rates.append(found["rate"])
        wholes.append(found["whole"])
    if faces:
        decibels, apart = compare_faces(paths, made, loop, theirs)
    else:
        decibels = [agreement(loop / f"{p.stem}.png", made / "images" / f"{p.stem}.png") for p in paths]
        apart = [0.0]
    bytes_ours, bytes_loop = (sum(p.stat().st_size for p in f.glob("*.png")) for f in (made / "images", loop))
    rate, loop_rate = sorted(rates)[len(rates) // 2], sorted(loops)[len(loops) // 2]
    return {
        "images": len(paths), "loop": loop_rate, "ours": rate, "ours with start": sorted(wholes)[len(wholes) // 2],
        "times": rate / loop_rate, "goal": GOALS[kind], "least dB": min(decibels, default=0.0),
        "dB of all": pooled(decibels),
        "median dB": sorted(decibels)[len(decibels) // 2] if decibels else 0.0, "compared": len(decibels),
        "squares apart, most": max(apart, default=0.0), "bytes": bytes_ours / max(1, bytes_loop),
        "hours for 265,000": WHOLE / rate / 3600,
        "hours of the loop": WHOLE / loop_rate / 3600,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="pictures of each kind")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--portraits", type=Path, default=PORTRAITS, help="folder of .jpg portraits to draw from")
    parser.add_argument("--only", choices=list(GOALS))
    parser.add_argument("--output", type=Path, default=Path("runs/bench/prepare.json"))
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    for kind in [options.only] if options.only else list(GOALS):
        with tempfile.TemporaryDirectory() as place:
            rows[kind] = row = measure(Path(place), kind, options)
        print(
            f"{kind}: loop {row['loop']:.2f}/s, ours {row['ours']:.2f}/s ({row['ours with start']:.2f} with start), "
            f"{row['times']:.2f} times (goal {row['goal']}); {row['dB of all']:.1f} dB between the "
            f"{row['compared']} outputs ({row['median dB']:.1f} in the median, {row['least dB']:.1f} in the worst), "
            f"files {row['bytes']:.3f} times as large; "
            f"265,000 images: {row['hours for 265,000']:.1f} h instead of {row['hours of the loop']:.1f} h"
        )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    facts = {"workers": options.workers, "cores": os.cpu_count(), "repeat": options.repeat, "rows": rows}
    options.output.write_text(json.dumps(facts, indent=2))
    missed = [k for k, row in rows.items() if row["times"] < row["goal"] or row["least dB"] < 40]
    print(f"{'goals missed: ' + ', '.join(missed) if missed else 'goals reached'}; written to {options.output}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
