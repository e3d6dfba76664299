"""LPIPS against torchmetrics' copy of the authors' code on the same random network, and against what it must be."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from likeness.errors import UsageError
from likeness.evaluate.networks.lpips import HEADS, SCALE, SHIFT, SMALLEST, TRUNKS, load

WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
# tensors of torchvision's `features`, counted from its own source: 5 and 13 convolutions with their biases
PLACES = {"alex": (0, 3, 6, 8, 10), "vgg": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}


def trunk(net: str, folder: Path) -> Path:
    """A file as torchvision's: `features.N.weight`, and a classifier that nobody asks for."""
    torch.manual_seed(0)
    state = {f"features.{name}": value for name, value in TRUNKS[net][0]().state_dict().items()}
    state["classifier.1.weight"] = torch.zeros(2, 2)
    torch.save(state, folder / f"{net}.pth")
    return folder / f"{net}.pth"


@pytest.fixture(scope="module", params=["alex", "vgg"])
def metric(request, tmp_path_factory):
    return load(request.param, trunk(request.param, tmp_path_factory.mktemp("trunk")), "cpu")


def pictures(count: int = 3, size: int = 40) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, count, 3, size, size, generator=random) * 2 - 1
    return a, b


def test_it_is_what_torchmetrics_computes(metric, monkeypatch):
    """Only their loading of torchvision's weights is replaced: it does not import here."""
    theirs = importlib.import_module("torchmetrics.functional.image.lpips")
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda net, pretrained: metric.features)
    reference = theirs._LPIPS(net=metric.net)  # with the published heads of the wheel
    a, b = pictures()
    assert torch.allclose(metric(a, b), reference(a, b).flatten(), rtol=1e-4, atol=1e-6)


def test_it_is_the_equation(metric):
    """Zhang et al. 2018, eq. 1, picture by picture and layer by layer, in float64."""
    a, b = pictures(2)
    heads = load_file(HEADS)
    wanted = []
    for pair in zip(a, b, strict=True):
        total, x = 0.0, [(p - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None] for p in pair]
        for place, layer in enumerate(metric.features):
            x = [layer(p[None])[0] for p in x]
            if place in metric.taps:
                u, v = (p.double() / p.double().square().sum(0).sqrt().clamp(min=1e-10) for p in x)
                w = heads[f"{metric.net}.{metric.taps.index(place)}"].double()
                total += float(((u - v).square() * w[:, None, None]).sum(0).mean())
        wanted.append(total)
    assert metric(a, b).tolist() == pytest.approx(wanted, rel=1e-4)


def test_what_a_distance_must_be(metric):
    a, b = pictures()
    assert metric(a, a).tolist() == [0, 0, 0]
    assert torch.allclose(metric(a, b), metric(b, a), atol=1e-6) and metric(a, b).min() > 0
    assert torch.allclose(metric(a, b)[:1], metric(a[:1], b[:1]), atol=1e-6)  # whatever the batch
    steps = torch.stack([metric(a, a + s * (b - a)) for s in (0.05, 0.2, 0.6)])
    assert (steps.diff(dim=0) > 0).all()  # the further on the way to another picture, the greater
    smallest = a[..., :SMALLEST, :SMALLEST]
    assert metric(smallest, -smallest).isfinite().all()


def test_the_structure_is_torchvisions(metric):
    convolutions = [i for i, layer in enumerate(metric.features) if isinstance(layer, torch.nn.Conv2d)]
    assert tuple(convolutions) == PLACES[metric.net]
    assert tuple(len(head) for head in metric.heads) == WIDTHS[metric.net]
    assert all(isinstance(metric.features[tap], torch.nn.ReLU) for tap in metric.taps)


def test_the_linear_weights_are_the_published_ones():
    """Number for number those of the `lpips` package, which torchmetrics ships too."""
    folder = Path(importlib.import_module("torchmetrics").__file__).parent / "functional" / "image" / "lpips_models"
    ours = load_file(HEADS)
    for net in TRUNKS:
        published = torch.load(folder / f"{net}.pth", map_location="cpu", weights_only=True)
        for number in range(5):
            assert torch.equal(ours[f"{net}.{number}"], published[f"lin{number}.model.1.weight"].flatten())


def test_other_files_are_refused(tmp_path):
    vgg = trunk("vgg", tmp_path)
    with pytest.raises(UsageError, match="does not hold torchvision's AlexNet"):
        load("alex", vgg)
    (tmp_path / "torn.pth").write_bytes(vgg.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"torn\.pth does not hold weights"):
        load("vgg", tmp_path / "torn.pth")


def test_a_protocol_says_whose_weights_these_are(tmp_path):
    file = trunk("alex", tmp_path)
    assert "GIVEN" in load("alex", file).told and "published weights" in load("alex", file, published=True).told


def test_shapes_that_cannot_be_compared(metric):
    a, _ = pictures(1)
    for one, other in ((a, a[..., :36]), (a[..., :31, :31], a[..., :31, :31])):
        with pytest.raises(ValueError, match="equal shapes"):
            metric(one, other)
