"""The invisible watermark on real pictures: how faint it is, what it survives, how often it is seen wrongly.

    python benchmarks/watermark.py --faces DIR [--portraits DIR] [--count 300] [--output watermark.json]

Faces are taken as they are (128 pixels in the project's own measurements), portraits at their size and at 512 pixels. A
mark counts as read when all of its bytes are right. False positives are counted on pictures that were never marked.
With blind-watermark installed (`pip install --no-deps blind-watermark`; opencv, PyWavelets), the same pictures go
through it too: 64 bits (our 40 and as many as it takes to know that there is a mark), read at the place and size at
which they were written, because it knows no other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likeness.evaluate.formulas.intervals import wilson
from likeness.files import write_json
from likeness.provenance import watermark

PICTURES = {".png", ".jpg", ".jpeg", ".webp"}
Change = Callable[[Image.Image, np.random.Generator], Image.Image]
Embed, Read = Callable[[Image.Image, bytes], Image.Image], Callable[[Image.Image, bool], bytes | None]


def encoded(**how: Any) -> Change:
    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        buffer = BytesIO()
        image.save(buffer, **how)
        return Image.open(BytesIO(buffer.getvalue())).convert("RGB")

    return change


def resized(factor: float) -> Change:
    return lambda image, _: image.resize([round(n * factor) for n in image.size], Image.Resampling.BICUBIC)


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A tenth of each side away, at a random place."""
    left, top = (int(rng.integers(0, n // 10 + 1)) for n in image.size)
    return image.crop((left, top, left + image.width - image.width // 10, top + image.height - image.height // 10))


def then(first: Change, second: Change) -> Change:
    return lambda image, rng: second(first(image, rng), rng)


def mirrored(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


PLAIN: dict[str, Change] = {
    "as saved": lambda image, _: image,
    **{f"JPEG {quality}": encoded(format="JPEG", quality=quality) for quality in (95, 90, 80, 70, 60, 50)},
    "WebP 80": encoded(format="WEBP", quality=80),
    "crop 10 %": cropped,
    "crop 10 %, JPEG 80": then(cropped, encoded(format="JPEG", quality=80)),
}
SEARCHED: dict[str, Change] = {  # these take the detector's search over scales: fewer pictures are tried
    **{f"resize {factor:.0%}": resized(factor) for factor in (0.5, 0.75, 0.9, 1.25, 1.5, 2.0)},
    "resize 75 %, JPEG 80": then(resized(0.75), encoded(format="JPEG", quality=80)),
    "mirrored": mirrored,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="folder of small face pictures")
    parser.add_argument("--portraits", type=Path, help="folder of larger ones")
    parser.add_argument("--count", type=int, default=300, help="faces that are marked")
    parser.add_argument("--searched", type=int, default=40, help="pictures for each change of scale")
    parser.add_argument("--unmarked", type=int, default=1000, help="faces that are not marked")
    parser.add_argument(
        "--unmarked-searched", type=int, default=1000, help="of these, in how many all scales are tried"
    )
    parser.add_argument("--rival", type=int, default=40, help="faces that go through blind-watermark")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/watermark.json"))
    args = parser.parse_args()

    faces = pictures(args.faces)
    portraits = pictures(args.portraits) if args.portraits else []
    sets = {"faces": list(loaded(faces[: args.count]))}
    if portraits:
        sets |= {"portraits": list(loaded(portraits)), "portraits, 512": list(loaded(portraits, 512))}
    report: dict[str, Any] = {"size_bytes": watermark.SIZE, "psnr_aimed": watermark.PSNR, "likeness": {}}
    for name, images in sets.items():
        report["likeness"][name] = measured(images, watermark.embed, ours, PLAIN)
        show(f"likeness, {name}", report["likeness"][name])
    if rival := blind():
        report["blind-watermark"] = measured(sets["faces"][: args.rival], *rival, PLAIN)
        show("blind-watermark, faces", report["blind-watermark"])
    others = faces[args.count : args.count + args.unmarked]
    some = others[: args.unmarked_searched]
    rows = (("faces", others, False), ("portraits", portraits, False), ("faces, searched", some, True))
    for name, paths, search in rows:
        report.setdefault("unmarked", {})[name] = row = false_positives(paths, search)
        print(
            f"unmarked {name}: {row['seen']} of {row['pictures']} taken for marked, {row['ms']:.0f} ms each", flush=True
        )
    print()
    for name, images in sets.items():
        row = measured(images[: args.searched], watermark.embed, ours, SEARCHED, search=True)
        report["likeness"][f"{name}, searched"] = row
        show(f"likeness, {name}, with the search over scales", row)
    write_json(args.output, report)
    print(f"written to {args.output}")


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def loaded(paths: Sequence[Path], side: int | None = None) -> Iterator[Image.Image]:
    for path in paths:
        image = Image.open(path).convert("RGB")
        yield image.resize((side, side), Image.Resampling.LANCZOS) if side else image


def ours(image: Image.Image, search: bool) -> bytes | None:
    found = watermark.detect(image, search)
    return found.payload if found else None


def measured(
    images: list[Image.Image], embed: Embed, read: Read, changes: dict[str, Change], search: bool = False
) -> dict[str, Any]:
    """Fidelity, time, and the share of payloads that are read after each change, with 95 % intervals."""
    rng = np.random.default_rng(0)
    fidelity, marking, reading, right = [], 0.0, 0.0, {name: 0 for name in changes}
    embed(images[0], bytes(watermark.SIZE))
    for image in images:
        payload = rng.bytes(watermark.SIZE)
        start = time.process_time()
        marked = embed(image, payload)
        marking += time.process_time() - start
        fidelity.append(psnr(image, marked))
        for name, change in changes.items():
            changed = change(marked, rng)
            start = time.process_time()
            right[name] += read(changed, search) == payload
            reading += time.process_time() - start
    return {
        "pictures": len(images),
        "psnr_mean": float(np.mean(fidelity)),
        "psnr_least": float(np.min(fidelity)),
        "embed_ms": 1000 * marking / len(images),
        "read_ms": 1000 * reading / len(images) / len(changes),
        "read": {n: {"share": k / len(images), "interval": wilson(k, len(images)), "of": len(images)}
                 for n, k in right.items()},
    }  # fmt: skip


def psnr(one: Image.Image, two: Image.Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((np.asarray(one, float) - np.asarray(two, float)) ** 2)))


def false_positives(paths: list[Path], search: bool) -> dict[str, Any]:
    start, seen = time.process_time(), 0
    for image in loaded(paths):
        seen += watermark.detect(image, search) is not None
    spent = time.process_time() - start
    return {
        "pictures": len(paths),
        "seen": seen,
        "interval": wilson(seen, max(len(paths), 1)),
        "ms": 1000 * spent / max(len(paths), 1),
    }


def blind() -> tuple[Embed, Read] | None:
    """blind-watermark as it comes (the strengths of its own defaults), 64 bits."""
    try:
        from blind_watermark import WaterMark, bw_notes
    except ImportError:
        return None
    bw_notes.close()
    extra = b"\x5a\xc3\x96"  # what stands for a check sum

    def embed(image: Image.Image, payload: bytes) -> Image.Image:
        work = WaterMark(password_img=1, password_wm=1)
        work.read_img(img=np.asarray(image)[..., ::-1].astype(np.float32))
        work.read_wm(np.unpackbits(np.frombuffer(payload + extra, np.uint8)).astype(bool), mode="bit")
        return Image.fromarray(np.clip(np.rint(work.embed()), 0, 255).astype(np.uint8)[..., ::-1])

    def read(image: Image.Image, _: bool) -> bytes | None:
        work = WaterMark(password_img=1, password_wm=1)
        pixels = np.asarray(image)[..., ::-1].astype(np.float32)
        bits = np.asarray(work.extract(embed_img=pixels, wm_shape=64, mode="bit")) > 0.5
        said = np.packbits(bits).tobytes()
        return said[:-3] if said.endswith(extra) else None

    return embed, read


def show(title: str, row: dict[str, Any]) -> None:
    print(
        f"{title}: {row['pictures']} pictures, PSNR {row['psnr_mean']:.1f} dB (least {row['psnr_least']:.1f}), "
        f"marking {row['embed_ms']:.1f} ms, reading {row['read_ms']:.1f} ms of one core"
    )
    for name, told in row["read"].items():
        low, high = told["interval"]
        print(f"  {name:24} {told['share']:7.1%}  ({low:.1%} to {high:.1%} of {told['of']})")
    print(flush=True)


if __name__ == "__main__":
    main()
