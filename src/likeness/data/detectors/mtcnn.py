"""MTCNN in plain torch: three small networks, each looking closer at what the one before proposed.

Zhang et al. 2016, with the weights and the conventions of the `mtcnn` package 1.0.0 (boxes count pixels from 1, corners
included; a candidate is dropped when any better one overlaps it), so that the same settings give the same faces. What
the last network says of a face depends on the box that it was shown, and so on the size of the copy that was searched:
here it looks again until it agrees with itself, and the same places come out of a small copy and of the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...errors import UsageError
from ..detect import Face, bounded
from .nets import load_nets
from .opencv import load_cv2

if TYPE_CHECKING:
    from PIL import Image

Array = np.ndarray[Any, Any]
CELL, STRIDE = 12, 2  # what the proposal network sees at once, and how far apart its looks are
FULL = 1024  # candidates that one look at the refining networks may hold: bounds memory on crowds
# Looks at a face when settling: (right, down, larger) by the side of its box. Few on the way; at the end more, so that
# their errors even out.
FEW = np.array([(0, 0, 1), (0.05, 0.05, 1.04), (-0.05, 0.05, 0.96), (0.05, -0.05, 0.96), (-0.05, -0.05, 1.04)])
LOOKS = np.array([(x / 20, y / 20, 1 + 0.04 * ((x + y + 1) % 3 - 1)) for x in range(-2, 3) for y in range(-2, 3)])
OUTER = np.array([-0.5, -0.5, 0.5, 0.5], np.float32)  # from the centres of a box's corner pixels to its edges
SAME = 0.002  # by the side of the box: near enough for the last two looks
CLEAR = 4  # pixels of a face by those that the last network is shown: no more are averaged in detail
SETTLED = 32  # faces of a picture, the best first, that are looked at again


@dataclass(frozen=True)
class MtcnnConfig:
    """longest: the picture is searched in a copy whose longer side is at most so many pixels;
    smallest: the smallest face to look for, as a part of the copy's longer side (never under 12 px);
    pyramid: each level's size by that of the one before; thresholds: one for each network;
    overlaps: above which the weaker box goes (within a level, across levels, refined, final);
    settle: how often a face is sought again at most, before the last two looks; 0: as the `mtcnn` package.
    """

    longest: int = 512
    smallest: float = 0.06
    pyramid: float = 0.709
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8)
    overlaps: tuple[float, float, float, float] = (0.5, 0.7, 0.7, 0.7)
    settle: int = 4

    def __post_init__(self) -> None:
        if self.longest < 24 or not 0 < self.smallest <= 1 or not 0 < self.pyramid < 1:
            raise UsageError("mtcnn: longest is 24 px or more, smallest within (0, 1], pyramid within (0, 1)")


class Mtcnn:
    """Faces with five landmarks. On the CPU, in one thread: for more speed run more processes.

    Raises `UsageError` when the weights cannot be read, `MissingExtra` when OpenCV is not installed.
    """

    name = "mtcnn"

    def __init__(self, config: MtcnnConfig | None = None, weights: str | Path | None = None, **options: Any) -> None:
        self.config = config or MtcnnConfig(**options)
        self.longest = self.config.longest
        self._cv2 = load_cv2()
        self._propose_net, self._refine_net, self._output_net = load_nets(weights)

    def detect(self, image: Image.Image) -> list[Face]:
        """Faces in a picture, the most confident first."""
        image = image if image.mode == "RGB" else image.convert("RGB")
        small, *scale = bounded(image, self.longest)
        pixels = (np.asarray(small, np.float32) - 127.5) / 128
        with torch.inference_mode(), _one_thread():
            boxes, scores, points = self._search(pixels)
            # pixel centres; the picture itself, because the blur of a copy makes faces larger
            boxes, points = (boxes + 0.5) * np.tile(scale, 2) - 0.5, (points + 0.5) * scale - 0.5
            for i in range(min(len(boxes), SETTLED) if self.config.settle else 0):
                boxes[i], points[i] = self._settle(image, boxes[i])
        faces = []
        for box, score, marks in zip(boxes.tolist(), scores.tolist(), points.tolist(), strict=True):
            five = tuple((px, py) for px, py in marks)
            eyes = min(five[:2]), max(five[:2])  # a face that stands on its head has them the other way round
            faces.append(Face((box[0], box[1], box[2], box[3]), score, eyes, five))
        return faces

    def _search(self, pixels: Array) -> tuple[Array, Array, Array]:
        """(H, W, 3) -> boxes (N, 4), scores (N,), points (N, 5, 2), counted from 0, sorted by score."""
        config = self.config
        boxes = _squares(self._propose(pixels))[:FULL]
        offsets, likely = self._refine_net(_patches(pixels, boxes, 24))
        boxes, scores = _moved(boxes, offsets), likely.numpy()
        boxes = _squares(boxes[_best(boxes, scores, config.thresholds[1], config.overlaps[2])])

        offsets, marks, likely = self._output_net(_patches(pixels, boxes, 48))
        parts = marks.numpy().reshape(-1, 2, 5).transpose(0, 2, 1)  # five x, five y -> (N, 5, 2)
        points = parts * _sides(boxes)[:, None] + boxes[:, None, :2] - 1
        boxes, scores = _moved(boxes, offsets), likely.numpy()
        kept = _best(boxes, scores, config.thresholds[2], config.overlaps[3], nested=True)
        return boxes[kept] - 1, scores[kept], points[kept]

    def _settle(self, image: Image.Image, box: Array) -> tuple[Array, Array]:
        """The box (4,) and the points (5, 2) that the last network agrees on, shown its own mean answer again."""
        square = _squares(box[None] + OUTER)[0]
        for _ in range(self.config.settle):
            before, (square, *_) = square, self._look(image, square, FEW)
            if np.abs(square - before).max() < SAME * (square[2] - square[0]):
                break
        square, *_ = self._look(image, square, LOOKS)
        _, box, points = self._look(image, square, LOOKS)
        return box - OUTER, points

    def _look(self, image: Image.Image, square: Array, looks: Array) -> tuple[Array, Array, Array]:
        """The mean answer to looks at a square (4,): the square to look at next (4,), box (4,) and points (5, 2)."""
        centre, side = (square[:2] + square[2:]) / 2, square[2] - square[0]
        middles, halves = centre + side * looks[:, :2], side * looks[:, 2:] / 2
        edges = np.concatenate([middles - halves, middles + halves], 1)  # (N, 4), pixel centres
        offsets, marks, _likely = self._output_net(_shown(image, edges, 48))
        points = marks.numpy().reshape(-1, 2, 5).transpose(0, 2, 1) * 2 * halves[:, None] + edges[:, None, :2]
        boxes = edges + offsets.numpy() * 2 * halves
        return _squares(boxes).mean(0), boxes.mean(0), points.mean(0)

    def _propose(self, pixels: Array) -> Array:
        """Candidates at every size: (H, W, 3) -> boxes (N, 4), the best first."""
        config = self.config
        height, width = pixels.shape[:2]
        scale = CELL / max(float(CELL), config.smallest * max(height, width))
        found = [np.zeros((0, 5), np.float32)]
        while min(int(height * scale), int(width * scale)) >= CELL:
            level = self._cv2.resize(
                pixels, (int(width * scale), int(height * scale)), interpolation=self._cv2.INTER_AREA
            )
            offsets, likely = self._propose_net(torch.from_numpy(level).permute(2, 0, 1)[None])
            scores = likely[0].numpy()
            rows, columns = np.nonzero(scores > config.thresholds[0])
            corners = np.stack([columns, rows], 1).astype(np.float32) * STRIDE
            boxes = np.concatenate([corners + 1, corners + CELL], 1)
            boxes = (boxes + (CELL - 1) * offsets[0].numpy()[:, rows, columns].T) / scale
            scores = scores[rows, columns]
            kept = _best(boxes, scores, 0.0, config.overlaps[0])
            found.append(np.concatenate([boxes, scores[:, None]], 1)[kept])
            scale *= config.pyramid
        every = np.concatenate(found)
        return every[_best(every[:, :4], every[:, 4], 0.0, config.overlaps[1]), :4]


@contextmanager
def _one_thread() -> Iterator[None]:
    """torch in one thread. The networks are so small that two on a busy machine take ten times the time of one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _sides(boxes: Array) -> Array:
    return boxes[:, 2:] - boxes[:, :2] + 1  # (N, 4) -> (N, 2)


def _moved(boxes: Array, offsets: torch.Tensor) -> Array:
    """Boxes with their corners moved by parts of their width and height. (N, 4), (N, 4) -> (N, 4)"""
    return boxes + offsets.numpy() * np.tile(_sides(boxes), 2)


def _squares(boxes: Array) -> Array:
    """The squares around the same centres that are as large as the longer sides. (N, 4) -> (N, 4)"""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], 1)


def _best(boxes: Array, scores: Array, threshold: float, overlap: float, nested: bool = False) -> Array:
    """Indices of the boxes over the threshold that no better box overlaps, the best first.

    overlap: shared area by that of the union, or with `nested` by that of the smaller box.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold][: 4 * FULL]
    boxes = boxes[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept = np.ones(len(order), bool)
    for i in range(1, len(order)):
        sides = np.minimum(boxes[i, 2:], boxes[:i, 2:]) - np.maximum(boxes[i, :2], boxes[:i, :2])
        shared = sides.clip(0).prod(1)
        whole = np.minimum(areas[i], areas[:i]) if nested else areas[i] + areas[:i] - shared
        kept[i] = not (shared > overlap * whole).any()
    return order[kept]


def _patches(pixels: Array, boxes: Array, size: int) -> torch.Tensor:
    """Each box at `size` pixels, bilinear, zero outside the picture. (H, W, 3), (N, 4) -> (N, 3, size, size)"""
    height, width = pixels.shape[:2]
    corners = torch.from_numpy(boxes.astype(np.float32)) / torch.tensor([width, height, width, height])
    steps = torch.linspace(0, 1, size)
    x = corners[:, 0, None] + (corners[:, 2, None] - corners[:, 0, None]) * steps  # (N, size), 0 to 1 in the picture
    y = corners[:, 1, None] + (corners[:, 3, None] - corners[:, 1, None]) * steps
    grid = torch.stack([x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], -1) * 2 - 1
    inside = ((x >= 0) & (x <= 1))[:, None, None] & ((y >= 0) & (y <= 1))[:, None, :, None]
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].expand(len(boxes), -1, -1, -1)
    return torch.nn.functional.grid_sample(picture, grid, align_corners=True) * inside


def _shown(image: Image.Image, edges: Array, size: int) -> torch.Tensor:
    """Squares of a picture, antialiased, black outside of it. (N, 4) edges by pixel centres -> (N, 3, size, size)"""
    from PIL import Image

    left, top = np.floor(edges[:, :2].min(0)).astype(int) - 2
    right, bottom = np.ceil(edges[:, 2:].max(0)).astype(int) + 3
    shrink = max(1, int((edges[:, 2] - edges[:, 0]).min() / (CLEAR * size)))  # once for all squares: far less work
    part = image.crop((left, top, right, bottom)).reduce(shrink)
    boxes = (edges + 0.5 - np.array([left, top, left, top])) / shrink
    drawn = [np.asarray(part.resize((size, size), Image.Resampling.BILINEAR, tuple(box))) for box in boxes.tolist()]
    return (torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float() - 127.5) / 128
