"""Files that break programs: a generator of pictures, names, links and tables that mean harm or are just broken."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from drawing import pattern
from PIL import Image, TiffImagePlugin

NAMES = (
    "new\nline", "tab\there", "bell\x07", "\x1b[31mred", "emoji😀", "日本語", "עברית", "é\u0301", "a" * 240, "-rf",
    " lead", "trail ", "quote'\"", "$(touch pwned)", "`id`", "%s%n", "con", "nul", "a;b", "a&b", "a|b", "*", "?", "..",
    "...", "<script>", "a\\b", "{0}", "~", "#x", "train", "test-1", "UPPER", "upper",
    "\u202egnp", "\ufeffbom", "\u2028line",
)  # fmt: skip
MODES = ("1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "LAB")


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes, before: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def broken() -> Iterator[tuple[str, bytes]]:
    """Names with contents: cut short, of another kind than they say, and larger than they look."""
    for suffix in ("jpg", "png", "webp", "tif", "gif", "bmp"):
        form = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
        whole = encoded(pattern(1), form)
        for part in (2, 5, 10, 20, 30, 45, 60, 75, 95):
            yield f"cut{part}.{suffix}", whole[: len(whole) * part // 100 or 1]
        for seed in range(4):
            flipped = bytearray(whole)
            for at in random.Random(seed).sample(range(12, len(whole)), 40):
                flipped[at] ^= 0x55
            yield f"flipped{seed}.{suffix}", bytes(flipped)
        yield f"zeros-{suffix}.{suffix}", bytes(1000)
        yield f"empty-{suffix}.{suffix}", b""
        yield f"noise.{suffix}", random.Random(suffix).randbytes(3000)
        yield f"text.{suffix}", b"I am no picture\n" * 9
    yield "page.jpg", b"<!DOCTYPE html><html><body>404</body></html>"
    yield "really-a-png.jpg", encoded(pattern(2), "PNG")
    yield "really-a-jpg.webp", encoded(pattern(3), "JPEG")
    yield "really-a-pdf.png", b"%PDF-1.4\n%\xe2\xe3\n1 0 obj\n"
    yield "really-eps.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(x) run\n"
    yield "really-svg.png", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "really-zip.jpg", b"PK\x03\x04" + bytes(100)
    yield "program.png", b"\x7fELF" + bytes(300)
    yield "huge.png", png(60_000, 60_000, b"")
    yield "wide.png", png(2_000_000, 2, bytes(100))
    yield "bomb.png", png(9000, 9000, bytes(9001 * 900))
    yield "over.png", png(10, 10, bytes(50_000_000))
    text = zlib.compress(bytes(80_000_000), 9)
    yield "textbomb.png", png(64, 64, bytes(65 * 64), chunk(b"zTXt", b"k\0\0" + text))
    yield "iccbomb.png", png(64, 64, bytes(65 * 64), chunk(b"iCCP", b"k\0\0" + text))
    yield "nothing.png", png(0, 0, b"")
    yield "dot.png", encoded(Image.new("RGB", (1, 1)), "PNG")
    yield "line.png", encoded(Image.new("RGB", (4000, 1)), "PNG")
    jpeg = bytearray(encoded(pattern(4), "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    yield "huge.jpg", bytes(jpeg)
    scan = encoded(pattern(5), "JPEG", progressive=True)
    yield "scans.jpg", scan[:-2] + b"\xff\xda" * 5000 + scan[-2:]
    yield "loop.tif", loop()


def loop() -> bytes:
    """A TIFF whose second page is its first."""
    data = bytearray(encoded(pattern(6), "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    return bytes(data)


def odd() -> Iterator[tuple[str, bytes]]:
    """Whole pictures of unusual kinds: most of them are good faces to somebody."""
    for i, mode in enumerate(MODES):
        image = pattern(100 + i)
        for step in {"LA": "L", "PA": "P", "I;16": "L", "I": "L", "F": "L"}.get(mode, ""), mode:
            image = image.convert(step) if step else image
        for form in ("PNG", "TIFF", "JPEG"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                yield f"mode-{mode.replace(';', '')}.{form.lower()[:4]}", encoded(image, form)
                break
    for turn in range(0, 10):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield f"turned{turn}.jpg", encoded(pattern(200 + turn), "JPEG", exif=exif)
    yield "badexif.jpg", encoded(pattern(220), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    yield "badicc.jpg", encoded(pattern(221), "JPEG", icc_profile=b"no profile at all")
    frames = [pattern(230 + i) for i in range(3)]
    for form, suffix in (("GIF", "gif"), ("WEBP", "webp"), ("PNG", "png"), ("TIFF", "tiff")):
        yield f"film.{suffix}", encoded(frames[0], form, save_all=True, append_images=frames[1:])
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270] = "x" * 100_000
    yield "longtag.tif", encoded(pattern(240), "TIFF", tiffinfo=info)


def strange(folder: Path) -> Iterator[tuple[Path, Callable[[], object]]]:
    """Paths that are no plain files, with what makes them."""

    def link(name: str, target: str | Path) -> tuple[Path, Callable[[], object]]:
        path = folder / name
        return path, lambda: path.symlink_to(target)

    yield link("self.png", "self.png")
    yield link("ping.png", "pong.png")
    yield link("pong.png", "ping.png")
    yield link("dangling.png", "nowhere.png")
    yield link("passwd.png", "/etc/passwd")
    yield link("zero.png", "/dev/zero")
    yield link("up.jpg", "..")
    yield link("out.jpg", folder.parent / "secret.png")
    yield link("round.jpg", ".")
    yield link("rootdir.png", "/")
    yield folder / "pipe.png", lambda: os.mkfifo(folder / "pipe.png")
    yield folder / "socket.png", lambda: bound(folder / "socket.png")
    locked = folder / "locked.png"
    yield locked, lambda: (locked.write_bytes(b""), locked.chmod(0))


def bound(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket has little room
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def make(folder: Path, count: int) -> list[Path]:
    """`count` hostile files in a folder, evenly drawn from all kinds; their paths."""
    folder.mkdir(parents=True)
    (folder.parent / "secret.png").write_bytes(encoded(pattern(999), "PNG"))
    makers: list[tuple[Path, Callable[[], object]]] = []
    for name, data in (*broken(), *odd()):
        makers.append((folder / name, lambda path=folder / name, data=data: path.write_bytes(data)))
    for i, name in enumerate(NAMES):
        path = folder / f"n{name}.png" if name.startswith(".") else folder / f"{name}.png"
        data = encoded(pattern(300 + i), "PNG")
        makers.append((path, lambda path=path, data=data: path.write_bytes(data)))
    raw = Path(os.fsdecode(os.fsencode(folder) + b"/raw\xff\xfe.png"))
    makers.append((raw, lambda: raw.write_bytes(encoded(pattern(400), "PNG"))))
    makers += strange(folder)
    step = max(1.0, len(makers) / count)
    chosen = [makers[int(i * step)] for i in range(min(count, len(makers)))]
    for _, maker in chosen:
        maker()
    return [path for path, _ in chosen]


def rows(outside: Path) -> list[str]:
    """Lines of a metadata.jsonl: names that lead elsewhere, and lines that are none."""
    names = [
        "../secret.png", "../../etc/passwd", "/etc/passwd", str(outside), "images/../../secret.png", "..\\secret.png",
        "C:\\windows\\win.ini", "\\\\server\\share\\x.png", "file:///etc/passwd", "http://localhost/x.png", "",
        " ", ".", "..", "a\0b.png", "x" * 5000, "images/", "no-such.png", "\ud800.png", "~/x.png", "good.png/",
        "./good.png/../../x",
    ]  # fmt: skip
    lines = [json.dumps({"file_name": name, "text": "somebody"}) for name in names]
    lines += ["{", "null", "[]", "7", '"text"', '{"file_name": 3}', '{"file_name": ["a"]}', "[" * 5000, "\x00\x01"]
    lines += ['{"file_name": "good.png", "text": "ok", "eyes": [[1, NaN], [2, 3]]}']
    lines += ['{"file_name": "good.png", "text": "twice"}', '{"file_name": "good2.png", "attributes": {"age": "old"}}']
    lines += ['{"file_name": "good2.png", "attributes": "tall", "text": ' + json.dumps("\u202e<b>" * 50) + "}"]
    return lines


def cells(outside: Path) -> list[str]:
    """Lines of a csv of the same kind."""
    lines = ["image,caption", "../secret.png,out", "/etc/passwd,root", f"{outside},out", '"a""b.png",quote']
    return [*lines, "good.png,=cmd()", "good.png,twice", ",", "only", "a,b,c,d,e", '"open', "\udcff.png,raw"]
