"""The review page: the template, the rows as data that cannot become markup, small pictures in the page itself."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from pathlib import Path
from typing import Any

from ..data.decode import open_image
from ..data.paths import existing
from ..errors import UsageError

TEMPLATE = Path(__file__).with_name("review.html")
SIDE = 160  # pixels, of pictures in the page: about 5 KB each
UNSAFE = {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
SECURITY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src {pictures}; connect-src {connect}; "
    "style-src {style}; script-src {script}"
)


def page(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The whole page. `about`: title, key (of what the browser remembers), server (whether decisions are sent),
    previous and next (addresses of the neighbouring pages, or ""), part (words such as "page 2 of 3").

    Nothing in a row can end the script tag it stands in, and the policy lets no other script or address in.
    """
    text = TEMPLATE.read_text(encoding="utf-8")
    served = bool(about.get("server"))
    policy = SECURITY.format(
        pictures="'self' data:" if served else "data:",
        connect="'self'" if served else "'none'",
        style=_hashed(text, "style"),
        script=_hashed(text, "script"),
    )
    values = {
        "POLICY": html.escape(policy),
        "TITLE": html.escape(about["title"]),
        "ABOUT": data(about),
        "ROWS": data(rows),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text)


def data(value: Any) -> str:
    """JSON that may stand inside a script tag."""
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda match: UNSAFE[match[0]], plain).encode("utf-8", "replace").decode()


def embedded(folder: str | Path, file_name: str) -> str:
    """A small picture as a data URL; "" if it cannot be read."""
    made = thumbnail(folder, file_name)
    return f"data:image/webp;base64,{base64.b64encode(made).decode()}" if made else ""


def thumbnail(folder: str | Path, file_name: str, side: int = SIDE, quality: int = 75) -> bytes:
    """A picture of the folder as WebP of at most `side` pixels; empty if it cannot be read."""
    try:
        image = open_image(existing(folder, file_name), side)
    except UsageError:
        return b""
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def _hashed(text: str, tag: str) -> str:
    """The policy's word for exactly this template's own inline script or style."""
    found = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)
    if found is None:
        raise UsageError(f"{TEMPLATE} is damaged: it has no <{tag}>. Install likeness again.")
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}'"
