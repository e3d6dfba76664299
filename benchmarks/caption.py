"""Wall time of the `api` captioner against the sequential loop with fixed sleeps that the field's scripts use.

Both ask the same misbehaving server (tests/caption/unruly.py) under the same limits, one after the other, once. The
loop is written as in https://github.com/rigvedrs/DiffyFace, Data/groq_caption_generator.py: one request at a time, a
fixed pause between requests, three tries with 2 s and 4 s of sleep between them; it is run with that script's pause of
0.1 s and with the 2 s that are common elsewhere.

All times of a real run (latency, window of the limits, timeout, Retry-After, every sleep of both sides) are multiplied
by --scale, so that a run takes a minute instead of half an hour. The client's own retries are off on both sides,
because their waits cannot be scaled. What does not shrink is the work on this machine, which counts against ours.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import openai  # here, so that loading it counts for neither side

from likeness.caption.captioner import Caption, Face, make
from likeness.files import write_json
from likeness.records import FaceRecord

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "caption"))
from unruly import TORTURE, serve  # noqa: E402

PROMPT = "Provide a detailed physical description of the person in this image, as a single flowing short paragraph."
TRIES, SLEEP, PAUSES = 3, 2.0, (2.0, 0.1)  # seconds


def loop(faces: list[Face], url: str, pause: float, options: argparse.Namespace) -> int:
    """The whole of the other side; how many captions it got."""
    client = openai.OpenAI(base_url=url, api_key="none", timeout=options.timeout * options.scale, max_retries=0)
    got = 0
    for number, face in enumerate(faces):
        image = base64.b64encode(face.path.read_bytes()).decode()
        picture = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{image}"}}
        content: Any = [{"type": "text", "text": PROMPT}, picture]
        for attempt in range(TRIES):
            try:
                if number or attempt:
                    time.sleep(pause * options.scale)
                answer = client.chat.completions.create(
                    model="face-vision", messages=[{"role": "user", "content": content}], max_tokens=1024
                )
                got += bool(answer.choices[0].message.content)
                break
            except Exception:
                if attempt < TRIES - 1:
                    time.sleep((attempt + 1) * SLEEP * options.scale)
    return got


def ours(faces: list[Face], url: str, options: argparse.Namespace) -> int:
    captioner = make("api", {
        "endpoint": url, "model": "face-vision", "window": 60 * options.scale, "requests_per_minute": options.requests,
        "timeout": options.timeout * options.scale, "concurrency": options.concurrency,
    })  # fmt: skip
    return sum(isinstance(outcome, Caption) for outcome in captioner.stream(faces))


def measure(name: str, faces: list[Face], options: argparse.Namespace, pause: float | None) -> dict[str, Any]:
    """One side on a server of its own."""
    scale = options.scale
    with serve(
        rates={} if options.tame else TORTURE, requests=options.requests, window=60 * scale, seed=1,
        latency=options.latency * scale, slow=5 * options.latency * scale, retry_after=5 * scale,
    ) as server:  # fmt: skip
        start = time.perf_counter()
        got = ours(faces, server.url, options) if pause is None else loop(faces, server.url, pause, options)
        seconds = time.perf_counter() - start
        stats = server.stats()
    # the last request has to wait for whole windows of those before it
    allowed = (stats["requests"] - 1) // options.requests * 60 * scale
    return {
        "side": name, "seconds": seconds, "unscaled": seconds / scale, "captions": got, "requests": stats["requests"],
        "at_once": stats["at_once"], "peak": stats["peak_requests"], "violations": stats["violations"],
        "limits_allow": allowed,
    }  # fmt: skip


def material(folder: Path, count: int) -> list[Face]:
    """So many pictures of 256 px, no two alike."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    faces = []
    for i in range(count):
        path = folder / f"{i:05d}.jpg"
        Image.fromarray(random.integers(0, 255, (8, 8, 3), np.uint8)).resize((256, 256)).save(path, quality=90)
        faces.append(Face(FaceRecord(path.name), path))
    return faces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="pictures")
    parser.add_argument("--requests", type=int, default=120, help="the limit: requests per minute")
    parser.add_argument("--latency", type=float, default=2.0, help="seconds for a usual answer, before scaling")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds, before scaling")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--scale", type=float, default=0.05, help="every time above, and every sleep, times this")
    parser.add_argument("--tame", action="store_true", help="a server that does nothing wrong")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/caption.json"))
    options = parser.parse_args()
    sides = [("api captioner", None), *((f"loop, {pause:g} s between", pause) for pause in PAUSES)]
    with tempfile.TemporaryDirectory() as place:
        faces = material(Path(place), options.count)
        rows = [measure(name, faces, options, pause) for name, pause in sides]
    print(f"{'side':<20}{'seconds':>9}{'unscaled':>10}{'times':>8}{'captions':>10}{'requests':>10}{'at once':>9}")
    for row in rows:
        row["times"] = row["seconds"] / rows[0]["seconds"]
        print(
            f"{row['side']:<20}{row['seconds']:9.1f}{row['unscaled']:10.0f}{row['times']:8.2f}"
            f"{row['captions']:>6}/{len(faces)}{row['requests']:>10}{row['at_once']:>9}"
            f"{'  limits broken: ' + ', '.join(row['violations']) if row['violations'] else ''}"
        )
    facts = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
    write_json(options.output, {"rows": rows, **facts})
    print(
        f"{options.count} pictures, {options.requests} requests a minute, answers in {options.latency:g} s, all times "
        f"x {options.scale:g}; the limits alone allow {rows[0]['limits_allow']:.1f} s; written to {options.output}"
    )


if __name__ == "__main__":
    main()
