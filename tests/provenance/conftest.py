"""Faces to mark, and a signer made once."""

from io import BytesIO

import pytest
from PIL import Image

from likeness.provenance import Marks, mark_png
from likeness.records import ImageRequest

FINGERPRINT = "0123456789abcdef" * 4
REQUEST = ImageRequest("a man with a hat", width=128, height=128, steps=30, guidance=4.0, seed=3)


@pytest.fixture(scope="session")
def portraits(faces):
    """24 shipped faces, 128x128 RGB."""
    return [Image.open(path).convert("RGB") for path in sorted((faces / "images").iterdir())[:24]]


@pytest.fixture(scope="session")
def marks(tmp_path_factory):
    """All marks on; signed with a pair that is made in a folder of the tests."""
    return Marks(c2pa=True, state=tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def signed(portraits, marks):
    """A PNG with every mark."""
    pytest.importorskip("c2pa")
    return mark_png(portraits[0], REQUEST, 3, FINGERPRINT, {"drawn": {"batch": [0, 1]}}, marks)


@pytest.fixture(scope="session")
def authority(signed, marks):
    """The certificate that vouches for `signed`, PEM."""
    return (marks.state / "certificates" / "ca.pem").read_text()


@pytest.fixture(scope="session")
def saved_again():
    """`saved_again(image, "JPEG", quality=80)`: the bytes and the picture that is read from them."""

    def save(image, kind, **how):
        buffer = BytesIO()
        image.save(buffer, kind, **how)
        return buffer.getvalue(), Image.open(BytesIO(buffer.getvalue())).convert("RGB")

    return save
