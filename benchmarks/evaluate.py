"""Pictures per second of `likeness evaluate sets`, and its distances against torchmetrics on the same features.

(a) A folder of pictures through each network: read, resized, measured; then once more from the cache. (b) Frechet and
kernel distance on given features, ours and those of torchmetrics, which read the same numbers: seconds and values.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPEATS = 3  # the quickest counts: a busy machine only adds
AGREE = 1e-3  # relative: torchmetrics adds up in float32


def rates(folder: Path, names: list[str], weights: list[str], device: str | None, count: int) -> list[dict[str, Any]]:
    from likeness.evaluate.networks.catalogue import load, parse_weights
    from likeness.evaluate.sets.statistics import measure, scan

    rows = []
    found = scan(sorted((folder / "images" if (folder / "images").is_dir() else folder).iterdir())[:count])
    for name in names:
        network = load(name, parse_weights(weights), device)
        network.features(found.pictures[:8])  # the first pass pays for what is set up once
        with tempfile.TemporaryDirectory() as cache:
            seconds = []
            for _ in range(2):
                start = time.perf_counter()
                measure(network, found, Path(cache))
                seconds.append(time.perf_counter() - start)
        rows.append(
            {"network": name, "images": len(found), "rate": len(found) / seconds[0], "cached": len(found) / seconds[1]}
        )
    return rows


def distances(count: int, size: int) -> list[dict[str, Any]]:
    """The same random features for both sides: correlated, and moved a little for one set."""
    import torch
    from torch import nn
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    from likeness.evaluate.formulas.distances import frechet, kernel
    from likeness.evaluate.formulas.moments import Moments

    class Given(nn.Module):
        """Pictures of 1 x size x 1 are their own features."""

        num_features = size

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, 0, :, 0]

    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(size, size, generator=generator) / size**0.5
    a, b = (torch.randn(count, size, generator=generator) @ mix + shift for shift in (0.0, 0.2))

    def theirs(metric: Any) -> Any:
        for part, real in ((a, True), (b, False)):
            for chunk in part.split(256):
                metric.update(chunk[:, None, :, None], real=real)
        return metric.compute()

    shape = {"feature": Given(), "normalize": True}
    runs = {
        "frechet": (
            lambda: frechet(Moments.of(a), Moments.of(b)),
            lambda: float(theirs(FrechetInceptionDistance(**shape, input_img_size=(1, size, 1)))),
        ),
        "kernel": (
            lambda: kernel(a, b),
            lambda: float(theirs(KernelInceptionDistance(**shape, subsets=1, subset_size=count))[0]),
        ),
    }
    rows = []
    for name, sides in runs.items():
        row: dict[str, Any] = {"distance": name, "n": count, "size": size}
        for side, run in zip(("ours", "torchmetrics"), sides, strict=True):
            seconds = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                row[side] = run()
                seconds.append(time.perf_counter() - start)
            row[f"{side}_seconds"] = min(seconds)
        rows.append(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of pictures; default: the shipped test faces")
    parser.add_argument("--count", type=int, default=512, help="pictures")
    parser.add_argument("--network", action="append", help="repeatable; default: eye")
    parser.add_argument("--weights", action="append", default=[], help="NETWORK=PATH, repeatable")
    parser.add_argument("--device", help="default: the best there is")
    parser.add_argument("--features", type=int, default=2000, help="vectors of a set in (b)")
    parser.add_argument("--size", type=int, default=512, help="numbers of a vector in (b)")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/evaluate.json"))
    args = parser.parse_args()
    from likeness.evaluate.adherence.cases import FACES

    a = rates(args.images or FACES, args.network or ["eye"], args.weights, args.device, args.count)
    b = distances(args.features, args.size)
    for row in a:
        print(
            f"{row['network']:14} {row['images']} pictures: {row['rate']:.0f}/s, from the cache {row['cached']:.0f}/s"
        )
    for row in b:
        print(
            f"{row['distance']:14} {row['n']} x {row['size']}: {row['ours']:.6g} in {row['ours_seconds']:.2f} s, "
            f"torchmetrics {row['torchmetrics']:.6g} in {row['torchmetrics_seconds']:.2f} s"
        )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"networks": a, "distances": b}, indent=2) + "\n", encoding="utf-8")
    far = [row for row in b if abs(row["ours"] - row["torchmetrics"]) > AGREE * abs(row["torchmetrics"])]
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
