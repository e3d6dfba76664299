"""Face detectors side by side on labelled portraits: how many are found, how far the eyes are off, how fast.

    python benchmarks/detect.py --portraits DIR [--detectors mtcnn,haar] [--output detect.json]

DIR holds pictures and a labels.csv with file_name, box_x, box_y, box_w, box_h, eye1_x, eye1_y, eye2_x, eye2_y (pixels).
A face is found when a box and the labelled one share 0.4 of their union: Haar's boxes are square and wide, and one rule
should hold for all. Eye errors are parts of the distance between the eyes.

Labels that a detector made are no truth to a hundredth, so a second judge is asked: the pupil as the point that the
edges around it point away from (Timm & Barth 2011, "Accurate Eye Centre Localisation by Means of Gradients"), searched
within a fifth of the eye distance around the mean of the label and the detections. It is wrong for a few closed or
shaded eyes: read its median. The labels are scored by it as well.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from likeness.data.detect import Face, make_detector
from likeness.files import write_json

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "data" / "fixtures" / "portraits"
FOUND = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portraits", type=Path, default=FIXTURES)
    parser.add_argument("--detectors", default="mtcnn,haar")
    parser.add_argument("--yunet", type=Path, help="the ONNX file, when yunet is among the detectors")
    parser.add_argument("--limit", type=int, help="only the first so many pictures")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/detect.json"))
    args = parser.parse_args()

    with (args.portraits / "labels.csv").open(encoding="utf-8") as file:
        labels = list(csv.DictReader(file))[: args.limit]
    images = [Image.open(args.portraits / row["file_name"]).convert("RGB") for row in labels]
    boxes, eyes = zip(*map(truth, labels), strict=True)

    found: dict[str, list[list[Face]]] = {}
    seconds: dict[str, tuple[float, float]] = {}
    for name in args.detectors.split(","):
        detector = make_detector(name, **({"path": args.yunet} if name == "yunet" else {}))
        detector.detect(images[0])
        wall, work = time.perf_counter(), time.process_time()
        found[name] = [detector.detect(image) for image in images]
        seconds[name] = time.perf_counter() - wall, time.process_time() - work

    pupils = [pupil_pair(image, i, eyes, boxes, found) for i, image in enumerate(images)]
    table = {name: score(found[name], boxes, eyes, pupils) for name in found}
    for name, (wall, work) in seconds.items():
        table[name] |= {"images_per_second": len(images) / wall, "cpu_ms_per_image": 1000 * work / len(images)}
    off = [error(e, p) for e, p in zip(eyes, pupils, strict=True)]
    report = {
        "portraits": len(images),
        "detectors": table,
        "labels": {
            "eyes_from_pupils_median": float(np.median(off)),
            "eyes_from_pupils_p90": float(np.quantile(off, 0.9)),
        },
    }
    show(report)
    write_json(args.output, report)
    print(f"written to {args.output}")


def truth(row: dict[str, str]) -> tuple[tuple[float, ...], np.ndarray]:
    x, y, width, height = (float(row[f"box_{k}"]) for k in "xywh")
    eyes = [[float(row[f"eye{i}_{k}"]) for k in "xy"] for i in (1, 2)]
    return (x, y, x + width, y + height), np.array(eyes)


def overlap(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, two)) - shared)


def error(eyes: Any, reference: np.ndarray) -> float:
    """Mean distance of the two eyes from the reference, by the distance between the reference's eyes."""
    return float(np.hypot(*(np.asarray(eyes) - reference).T).mean() / math.dist(*reference))


def best(faces: list[Face], box: tuple[float, ...]) -> Face | None:
    return max((f for f in faces if overlap(f.box, box) > FOUND), key=lambda f: overlap(f.box, box), default=None)


def score(found: list[list[Face]], boxes: Any, eyes: Any, pupils: list[np.ndarray]) -> dict[str, float]:
    hits = [best(faces, box) for faces, box in zip(found, boxes, strict=True)]
    seen = [(f.eyes, e, p) for f, e, p in zip(hits, eyes, pupils, strict=True) if f and f.eyes]
    by_label, by_pupil = [error(e, t) for e, t, _ in seen], [error(e, p) for e, _, p in seen]
    return {
        "found": sum(f is not None for f in hits) / len(hits),
        "one_face_only": sum(f is not None and len(g) == 1 for f, g in zip(hits, found, strict=True)) / len(hits),
        "with_eyes": len(seen) / len(hits),
        "box_overlap": float(np.mean([overlap(f.box, b) for f, b in zip(hits, boxes, strict=True) if f])),
        "eyes_from_labels_median": float(np.median(by_label)),
        "eyes_from_labels_p90": float(np.quantile(by_label, 0.9)),
        "eyes_from_pupils_median": float(np.median(by_pupil)),
        "eyes_from_pupils_p90": float(np.quantile(by_pupil, 0.9)),
    }


def pupil_pair(image: Image.Image, i: int, eyes: Any, boxes: Any, found: dict[str, list[list[Face]]]) -> np.ndarray:
    votes = [eyes[i], *(f.eyes for faces in found.values() if (f := best(faces[i], boxes[i])) and f.eyes)]
    apart = math.dist(*eyes[i])
    return np.array([pupil(image, *place, apart) for place in np.mean(np.array(votes), 0)])


def pupil(image: Image.Image, x: float, y: float, apart: float, cells: int = 48) -> tuple[float, float]:
    """The point near (x, y) from which the strong edges point away, dark places first (Timm & Barth 2011, eq. 2-5)."""
    import cv2

    reach = 0.2 * apart
    part = image.resize((cells, cells), Image.Resampling.BILINEAR, (x - reach, y - reach, x + reach, y + reach))
    gray = cv2.GaussianBlur(np.asarray(part.convert("L"), np.float32), (0, 0), 1.2)
    slope = np.stack([cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)], -1)
    steep = np.linalg.norm(slope, axis=-1)
    strong = steep > steep.mean() + 0.5 * steep.std()
    rows, columns = np.nonzero(strong)
    away = slope[strong] / steep[strong][:, None]
    grid = np.indices((cells, cells))[::-1].reshape(2, -1).T  # (cells^2, 2), x before y
    ways = np.stack([columns, rows], 1)[None] - grid[:, None]
    ways = ways / np.maximum(np.linalg.norm(ways, axis=2, keepdims=True), 1e-6)
    votes = (np.clip((ways * away).sum(2), 0, None) ** 2).mean(1) * (255 - gray.reshape(-1))
    column, row = grid[votes.argmax()]
    # resize's box counts from the edge of the first pixel, our coordinates from its centre: the half pixels cancel
    return x - reach + (column + 0.5) / cells * 2 * reach, y - reach + (row + 0.5) / cells * 2 * reach


def show(report: dict[str, Any]) -> None:
    print(f"{report['portraits']} portraits; eye errors in % of the eye distance: median (90th percentile)\n")
    line = "{:8} {:>7} {:>7} {:>7} {:>8} {:>14} {:>14} {:>8} {:>7}"
    print(line.format("", "found", "alone", "eyes", "overlap", "from labels", "from pupils", "CPU ms", "img/s"))

    def errors(row: dict[str, float], judge: str) -> str:
        return f"{100 * row[f'eyes_from_{judge}_median']:.1f} ({100 * row[f'eyes_from_{judge}_p90']:.1f})"

    for name, row in report["detectors"].items():
        shares = [f"{row[k]:.1%}" for k in ("found", "one_face_only", "with_eyes")]
        speed = f"{row['cpu_ms_per_image']:.0f}", f"{row['images_per_second']:.1f}"
        print(
            line.format(
                name, *shares, f"{row['box_overlap']:.3f}", errors(row, "labels"), errors(row, "pupils"), *speed
            )
        )
    print(line.format("labels", "", "", "", "", "", errors(report["labels"], "pupils"), "", ""))


if __name__ == "__main__":
    main()
