"""Count, mean and covariance of feature vectors in float64. They add, so workers each keep their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import UsageError
from ...files import atomic_path


@dataclass(frozen=True)
class Moments:
    """`mean` (D,) and `scatter` (D, D), the sum of outer products of deviations from the mean; float64 on the CPU."""

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def empty(cls, size: int) -> Moments:
        return cls(0, torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64))

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Moments of the rows of `features` (N, D) of any float type. N may be 0."""
        if features.ndim != 2:
            raise ValueError(f"features must be (N, D), not {tuple(features.shape)}")
        if not len(features):
            return cls.empty(features.shape[1])
        x = features.detach().to("cpu", torch.float64)
        mean = x.mean(0)
        centred = x - mean
        return cls(len(x), mean, centred.T @ centred)  # (N, D) -> (D,), (D, D)

    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets together.

        Chan, Golub & LeVeque 1983 (pairwise algorithm): exact, and without the cancellation of sums of squares.
        """
        if self.size != other.size:
            raise UsageError(f"moments of {self.size} and {other.size} features do not add: use one feature network")
        n = self.count + other.count
        if n == 0:
            return self
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / n)
        between = torch.outer(step, step) * (self.count * other.count / n)
        return Moments(n, mean, self.scatter + other.scatter + between)

    def __sub__(self, part: Moments) -> Moments:
        """Moments without those of a part: the inverse of addition, as exact while the part is a small one."""
        n = self.count - part.count
        mean = (self.mean * self.count - part.mean * part.count) / n
        step = part.mean - mean
        between = torch.outer(step, step) * (n * part.count / self.count)
        return Moments(n, mean, self.scatter - part.scatter - between)

    @property
    def size(self) -> int:
        return self.mean.shape[0]

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance (D, D). Raises `UsageError` for fewer than two vectors, which have none."""
        if self.count < 2:
            raise UsageError(f"a covariance needs two images or more, not {self.count}")
        return self.scatter / (self.count - 1)

    def save(self, path: str | Path) -> None:
        from safetensors.torch import save_file

        tensors = {"count": torch.tensor(self.count), "mean": self.mean, "scatter": self.scatter.contiguous()}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def load(cls, path: str | Path) -> Moments:
        """Inverse of `save`. Raises `UsageError` for a file that is missing or holds something else."""
        from safetensors.torch import load_file

        try:
            tensors = load_file(path)
            return cls(int(tensors["count"]), tensors["mean"].double(), tensors["scatter"].double())
        except FileNotFoundError:
            raise UsageError(f"no moments in {path}") from None
        except Exception as error:
            raise UsageError(f"{path} does not hold moments ({' '.join(str(error).split())}); make it again") from None
