"""Faces from an embedding: does `judge` see in a variation what it sees in the photo?

    python benchmarks/variations.py runs/dino [--faces DIR] [--count 200] [--guidance 2] [--output variations.json]

Faces of the test split, which nothing was trained on, are embedded by the model's own encoder, and each is drawn anew
from a seed of its own. For each attribute: how often `judge`, which is in no loss, names the same value for photo and
variation (Wilson's interval); how often it does for the photo and its mirror image, which is the most that can be
asked; and how often it would by chance, for variations dealt out to photos at random: sum_v p_photo(v) p_drawn(v).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from likeness.cli.progress import stages
from likeness.data.labels import read_faces
from likeness.evaluate.adherence.cases import FACES
from likeness.evaluate.formulas.intervals import wilson
from likeness.evaluate.networks.features import predictions
from likeness.files import write_json
from likeness.generate.faces import draw, open_model
from likeness.models.judge import Judge
from likeness.models.pixels import to_pixels

HEADS = ("gender", "age", "ethnicity", "expression", "glasses", "facial_hair", "hair_length", "hair_color")
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder of `likeness train dino`")
    parser.add_argument("--faces", type=Path, default=FACES, help="aligned as the model's training faces")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/variations.json"))
    args = parser.parse_args()

    studio, judge = open_model(args.model, "cpu", "fp32"), Judge.load()
    records = read_faces(args.faces, "test")
    chosen = [records[i * len(records) // args.count] for i in range(min(args.count, len(records)))]
    photos = [args.faces / record.file_name for record in chosen]
    drawn: list[Any] = []
    with stages(unit="faces") as tell:
        for start in range(0, len(photos), BATCH):
            part = photos[start : start + BATCH]
            embeddings = studio.model.standardised(studio.encoder.embed(to_pixels(part, studio.model.about.size)))
            seeds = list(range(start, start + len(part)))
            drawn += pictures(draw(studio.model, embeddings, seeds, args.steps, args.guidance))
            tell("drawing", len(drawn), len(photos))
    seen, again = predictions(judge, photos), predictions(judge, drawn)
    mirrored = predictions(judge, pictures(to_pixels(photos, 128).flip(-1)))
    report = {head: row(seen[head], again[head], mirrored[head]) for head in HEADS}
    show(report, len(photos))
    settings = {"model": studio.fingerprint, "count": len(photos), "steps": args.steps, "guidance": args.guidance}
    write_json(args.output, settings | {"agreement": report})
    print(f"written to {args.output}")


def pictures(pixels: torch.Tensor) -> list[Any]:
    """(B, 3, H, W) in [-1, 1] -> PIL images."""
    from PIL import Image

    levels = (pixels.clamp(-1, 1) * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(face) for face in levels]


def row(photo: torch.Tensor, drawn: torch.Tensor, mirror: torch.Tensor) -> dict[str, float]:
    """Probabilities (N, classes) of the three -> how often they agree."""
    first, second = photo.argmax(1), drawn.argmax(1)
    classes, count = photo.shape[1], len(photo)
    hits = int((first == second).sum())
    low, high = wilson(hits, count)
    shares = [torch.bincount(said, minlength=classes) / count for said in (first, second)]
    return {
        "variation": hits / count, "low": low, "high": high,
        "mirror": float((first == mirror.argmax(1)).float().mean()), "chance": float(shares[0] @ shares[1]),
    }  # fmt: skip


def show(report: dict[str, dict[str, float]], count: int) -> None:
    print(f"{count} photos: `judge` names the same value for photo and ...\n")
    print("| attribute | its variation | its mirror image | any variation (chance) |\n|---|---|---|---|")
    for head, r in report.items():
        print(
            f"| {head.replace('_', ' ')} | {r['variation']:.2f} [{r['low']:.2f}, {r['high']:.2f}] "
            f"| {r['mirror']:.2f} | {r['chance']:.2f} |"
        )


if __name__ == "__main__":
    main()
