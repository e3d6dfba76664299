"""Texts and XMP in a picture file: written into PNG, read from any format.

The XMP carries IPTC's DigitalSourceType `trainedAlgorithmicMedia`, which editors and platforms show as "made with AI".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from .software import version

KEY = "likeness"
XMP_KEY = "XML:com.adobe.xmp"
GENERATED = "trainedAlgorithmicMedia"
SOURCE_TYPE = f"http://cv.iptc.org/newscodes/digitalsourcetype/{GENERATED}"


def png(image: Any, texts: Mapping[str, str], packet: str | None = None) -> bytes:
    """A PIL image as a PNG file with these texts and this XMP."""
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        _add_text(info, key, text)
    if packet is not None:
        info.add_itxt(XMP_KEY, packet)
    buffer = BytesIO()
    image.save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


def texts_in(picture: Any) -> dict[str, Any]:
    """What an opened PIL image carries beside its pixels. Raises what Pillow raises for a broken file."""
    picture.load()  # a file cut short has a good header; PNG text may also stand behind the pixels
    found: dict[str, Any] = {str(k): v for k, v in picture.info.items()} | dict(getattr(picture, "text", {}))
    comment = picture.getexif().get_ifd(0x8769).get(0x9286)  # where A1111 puts its text in JPEG and WebP
    if isinstance(comment, bytes) and comment[:8] == b"UNICODE\0":
        found.setdefault("parameters", comment[8:].decode("utf-16-be", "replace"))
    return found


def says_generated(texts: Mapping[str, Any]) -> bool:
    """Whether the XMP among `texts_in` says that a trained model made the picture."""
    packet = texts.get("xmp") or texts.get(XMP_KEY) or b""
    return GENERATED in (packet if isinstance(packet, str) else packet.decode("utf-8", "replace"))


def xmp(description: str) -> str:
    """An XMP packet that says the picture was made by a trained model (IPTC Photo Metadata 2023.1)."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}" xmp:CreatorTool="{escape(f"likeness {version()}")}">'
        "<dc:description><rdf:Alt>"
        f'<rdf:li xml:lang="x-default">{escape(_printable(description))}</rdf:li>'
        "</rdf:Alt></dc:description>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _add_text(info: Any, key: str, text: str) -> None:
    """Latin-1 goes into tEXt, where every reader looks; anything else needs iTXt."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        info.add_itxt(key, text)
    else:
        info.add_text(key, text)


def _printable(text: str) -> str:
    """Without the control characters that XML 1.0 forbids."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", text)
