"""A server that speaks the OpenAI protocol, misbehaves on purpose, and keeps the books on its clients.

    python tests/caption/unruly.py --rate hang=0.02 --rate 500=0.05 --requests 60 --window 2     # prints its address

    with serve(rates=TORTURE, requests=60, window=2) as server:
        ...; server.stats()

What goes wrong is drawn from (seed, picture, attempt), so it does not depend on the order of arrival. GET /stats tells
what came, how often each picture was answered, and the largest number of requests and tokens that arrived within any
window: the limits are checked here, over arrivals, whatever the client believes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from typing import Any

TORTURE = {
    "429-after": 0.02, "429": 0.03, "500": 0.03, "slow": 0.03, "half": 0.02, "garbage": 0.02, "refusal": 0.01,
    "hang": 0.02,
}  # fmt: skip
STEADY = {"400", "403", "filter"}  # these hit the same pictures at every attempt
REFUSALS = (
    "I'm sorry, but I can't help with identifying or describing people in images.",
    "I cannot assist with that request.",
    "As an AI model I am unable to describe this person.",
)
WORDS = {
    "hair_color": ("black", "brown", "blond", "red", "gray"),
    "hair_length": ("short", "medium", "long"),
    "eye_color": ("brown", "blue", "green", "hazel"),
    "face_shape": ("oval", "round", "square", "long"),
    "ethnicity": ("White", "Black", "Indian", "East Asian"),
    "gender": ("female", "male"),
}
GRACE = 0.5  # seconds that a request may already be on its way when the server says "wait"


@dataclass(frozen=True)
class Settings:
    """`rates`: the part of attempts that go wrong, by what goes wrong. Limits of 0 are none; seconds everywhere."""

    rates: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    tokens: int = 0
    window: float = 60.0
    latency: float = 0.02
    slow: float = 0.5
    retry_after: float = 0.3
    enforce: bool = False  # answer 429 beyond the limits, instead of only counting
    image_tokens: int = 200
    seed: int = 0
    model: str = "face-vision"
    key: str = ""
    newer: bool = False  # a model that takes max_completion_tokens, and neither max_tokens nor a temperature


@dataclass
class Arrival:
    at: float
    tokens: int


def peak(arrivals: list[Arrival], window: float, weight: Callable[[Arrival], int]) -> int:
    """The largest sum of weights that arrived within any half-open span of `window` seconds."""
    inside: deque[Arrival] = deque()
    total = most = 0
    for arrival in arrivals:
        inside.append(arrival)
        total += weight(arrival)
        while inside[0].at <= arrival.at - window:
            total -= weight(inside.popleft())
        most = max(most, total)
    return most


def attributes(digest: str) -> dict[str, Any]:
    """A face that is a function of the picture."""
    numbers = bytes.fromhex(digest)
    chosen = {k: values[number % len(values)] for number, (k, values) in zip(numbers, WORDS.items(), strict=False)}
    return {"age": str(20 + numbers[10] % 50), **chosen, "ethnicity": [chosen["ethnicity"]]}


def description(digest: str) -> str:
    said = attributes(digest)
    noun, subject, own = {"female": ("woman", "She", "Her"), "male": ("man", "He", "His")}[said["gender"]]
    return (
        f"The {said['ethnicity'][0]} {noun} is about {said['age']} years old and looks on with quiet attention. "
        f"{subject} has {said['hair_length']} {said['hair_color']} hair with a straight hairline, and "
        f"{said['eye_color']} eyes that are open. {own} face is {said['face_shape']}, with a straight nose, closed "
        "lips and a rounded chin."
    )


class Unruly:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.arrivals: list[Arrival] = []
        self.attempts: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.wait_until = (0.0, 0.0)  # told at, to wait until
        self.impatient = self.now = self.most = 0
        self.late = 0.0

    async def watch(self) -> None:
        """How late this server may have looked at its clock: a busy machine does not make a client break a limit."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.late = max(self.late, time.monotonic() - before - 0.01)

    def stats(self) -> dict[str, Any]:
        s = self.settings
        window = max(0.0, s.window - self.late)
        requests = peak(self.arrivals, window, lambda a: 1)
        tokens = peak(self.arrivals, window, lambda a: a.tokens)
        broken = {
            "requests": bool(s.requests) and requests > s.requests,
            "tokens": bool(s.tokens) and tokens > s.tokens,
        }
        times = [a.at for a in self.arrivals]
        return {
            "requests": len(times), "tokens": sum(a.tokens for a in self.arrivals), "peak_requests": requests,
            "peak_tokens": tokens, "violations": [k for k, v in broken.items() if v], "impatient": self.impatient,
            "pictures": len(self.attempts), "answered": len(self.answered), "answers": sum(self.answered.values()),
            "most_answers": max(self.answered.values(), default=0), "faults": dict(self.faults),
            "at_once": self.most, "seconds": times[-1] - times[0] if times else 0.0, "settings": asdict(s),
            "late": self.late,
        }  # fmt: skip

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive as long as the client wants."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                at = time.monotonic()
                length = re.search(r"^content-length:\s*(\d+)", head, re.I | re.M)
                body = await reader.readexactly(int(length[1]) if length else 0)
                method, path = head.split()[:2]
                if (method, path) == ("POST", "/v1/chat/completions"):
                    await self.chat(at, head, body, reader, writer)
                elif path == "/v1/models":
                    reply(writer, 200, {"object": "list", "data": [{"id": self.settings.model, "object": "model"}]})
                elif path == "/stats":
                    reply(writer, 200, self.stats())
                else:
                    reply(writer, 404, {"error": {"message": f"no {path} here"}})
                await writer.drain()
                if writer.is_closing():
                    break
        writer.close()

    async def chat(self, at: float, head: str, body: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        s = self.settings
        asked = json.loads(body)
        if s.key and f"authorization: bearer {s.key}" not in head.replace("Authorization", "authorization").replace(
            "Bearer", "bearer"
        ):
            return reply(writer, 401, problem("Incorrect API key provided", "invalid_api_key"))
        if asked["model"] == "retired":
            return reply(writer, 400, problem("The model `retired` has been decommissioned", "model_decommissioned"))
        if asked["model"] != s.model:
            return reply(writer, 404, problem(f"The model `{asked['model']}` does not exist", "model_not_found"))
        if s.newer and (old := sorted({"max_tokens", "temperature"} & set(asked))):
            said = f"Unsupported parameter: '{old[0]}' is not supported with this model."
            return reply(writer, 400, problem(said, "unsupported_parameter"))
        digest, size = seen(asked["messages"])
        arrival = Arrival(at, size // 4 + (s.image_tokens if b'"image_url"' in body else 0))
        self.arrivals.append(arrival)
        told, until = self.wait_until
        self.impatient += told + GRACE + self.late < at < until
        if s.enforce and (wait := self.excess(at)) > 0:
            self.faults["limit"] += 1
            return self.wait(writer, wait)
        self.attempts[digest] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.answer(arrival, digest, asked, reader, writer)
        finally:
            self.now -= 1

    async def answer(self, arrival: Arrival, digest: str, asked: Any, reader: Any, writer: Any) -> None:
        s = self.settings
        fault = self.fault(digest)
        if fault:
            self.faults[fault] += 1
        if fault in REFUSED:
            return REFUSED[fault](self, writer)
        if fault == "hang":
            await reader.read(1)  # until the client has had enough
            return writer.close()
        chance = random.Random(f"{s.seed} {digest} latency").uniform(0.5, 1.5)
        await asyncio.sleep(s.latency * chance + (s.slow if fault == "slow" else 0))
        message, ending = {"role": "assistant", "content": self.text(digest, asked, fault)}, "stop"
        if fault == "filter":
            message, ending = {"role": "assistant", "content": ""}, "content_filter"
        if fault == "refusal-field":
            message = {"role": "assistant", "content": None, "refusal": REFUSALS[0]}
        words = (message["content"] or "").split(" ")
        most = asked.get("max_tokens", asked.get("max_completion_tokens", 10_000)) * 3 // 4
        if len(words) > most:
            message["content"], ending = " ".join(words[:most]), "length"
        said = min(len(words), most) * 4 // 3
        usage = {"prompt_tokens": arrival.tokens, "completion_tokens": said, "total_tokens": arrival.tokens + said}
        arrival.tokens += said
        whole = {
            "id": f"chatcmpl-{digest[:12]}", "object": "chat.completion", "created": int(time.time()),
            "model": asked["model"], "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": ending}],
        }  # fmt: skip
        if fault in BROKEN:
            return BROKEN[fault](writer, json.dumps(whole).encode())
        reply(writer, 200, whole)
        await writer.drain()
        if fault not in {"filter", "refusal-field", "refusal"} and not writer.is_closing():
            self.answered[digest] += 1

    def fault(self, digest: str) -> str:
        attempt = self.attempts[digest]
        for kinds, key in ((STEADY, digest), (set(self.settings.rates) - STEADY, f"{digest} {attempt}")):
            drawn = random.Random(f"{self.settings.seed} {key}").random()
            for kind in sorted(kinds & set(self.settings.rates)):
                drawn -= self.settings.rates[kind]
                if drawn < 0:
                    return kind
        return ""

    def text(self, digest: str, asked: dict[str, Any], fault: str) -> str:
        if fault == "refusal":
            return REFUSALS[int(digest[:4], 16) % len(REFUSALS)]
        if asked.get("response_format", {}).get("type") == "json_object":
            return json.dumps(attributes(digest) | {"description": description(digest)})
        return description(digest)

    def excess(self, at: float) -> float:
        """Seconds until this request would have been within the limits; 0 if it is."""
        s = self.settings
        recent = [a for a in self.arrivals if a.at > at - s.window]
        over = (s.requests and len(recent) > s.requests) or (s.tokens and sum(a.tokens for a in recent) > s.tokens)
        return recent[0].at + s.window - at if over else 0.0

    def wait(self, writer: asyncio.StreamWriter, seconds: float, date: bool = False) -> None:
        now = time.monotonic()
        self.wait_until = (now, max(self.wait_until[1], now + seconds))
        said = formatdate(int(time.time() + seconds + 1), usegmt=True) if date else f"{seconds:.3f}"
        reply(writer, 429, problem("Rate limit reached", "rate_limit_exceeded"), {"Retry-After": said})


REFUSED: dict[str, Callable[[Unruly, Any], None]] = {
    "429-after": lambda self, writer: self.wait(writer, self.settings.retry_after),
    "429-date": lambda self, writer: self.wait(writer, self.settings.retry_after, date=True),
    "429": lambda self, writer: reply(writer, 429, problem("Too many requests", "rate_limit_exceeded")),
    "500": lambda self, writer: reply(writer, 500, problem("The server had an error", "server_error")),
    "400": lambda self, writer: reply(writer, 400, problem("invalid image data", "invalid_image")),
    "403": lambda self, writer: reply(writer, 403, problem("flagged by moderation", "input_flagged")),
}
BROKEN: dict[str, Callable[[Any, bytes], None]] = {
    "half": lambda writer, body: send(writer, 200, body[: len(body) // 2], len(body)),
    "garbage": lambda writer, body: send(writer, 200, body[: len(body) // 2] + b"<html>", len(body) // 2 + 6),
}


def problem(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "error", "param": None, "code": code}}


def reply(writer: asyncio.StreamWriter, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    data = json.dumps(body).encode()
    send(writer, status, data, len(data), headers)


def send(
    writer: asyncio.StreamWriter, status: int, data: bytes, length: int, headers: dict[str, str] | None = None
) -> None:
    """The answer, and the end of the connection when it is shorter than it says."""
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {length}"]
    lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    if len(data) < length:
        writer.close()


def seen(messages: list[dict[str, Any]]) -> tuple[str, int]:
    """What tells this question from others (the picture's bytes, or the text), and how much text there is."""
    parts = [p for m in messages for p in ([m["content"]] if isinstance(m["content"], str) else m["content"])]
    texts = [p if isinstance(p, str) else p.get("text", "") for p in parts]
    pictures = [p["image_url"]["url"] for p in parts if isinstance(p, dict) and "image_url" in p]
    return hashlib.sha256("".join(pictures or texts).encode()).hexdigest(), sum(map(len, texts))


@dataclass(frozen=True)
class Server:
    """A running server; `url` is what clients take as their base URL."""

    url: str
    process: subprocess.Popen[str]

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/stats", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextlib.contextmanager
def serve(**settings: Any) -> Iterator[Server]:
    """The server in a process of its own, so that it keeps time whatever its client does."""
    command = [sys.executable, __file__, "--settings", json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip(), process)
        finally:
            process.kill()


async def run(settings: Settings, port: int) -> None:
    unruly = Unruly(settings)
    watching = asyncio.create_task(unruly.watch())
    server = await asyncio.start_server(unruly.serve, "127.0.0.1", port, limit=1 << 24, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    async with server:
        await asyncio.gather(watching, server.serve_forever())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0: any that is free; the address is printed")
    parser.add_argument("--rate", action="append", default=[], metavar="WHAT=PART", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--torture", action="store_true", help="the rates of the torture test")
    parser.add_argument("--settings", default="{}", help="all settings as JSON")
    for name, value in asdict(Settings()).items():
        if name != "rates":
            kind: Any = {"action": "store_true"} if isinstance(value, bool) else {"type": type(value)}
            parser.add_argument(f"--{name.replace('_', '-')}", default=None, **kind)
    options = vars(parser.parse_args())
    values = json.loads(options["settings"])
    values |= {k: v for k, v in options.items() if k in asdict(Settings()) and v is not None}
    said = dict(text.split("=") for text in options["rate"])
    rates = {
        **values.get("rates", {}),
        **(TORTURE if options["torture"] else {}),
        **{k: float(v) for k, v in said.items()},
    }
    if unknown := set(rates) - set(KINDS):
        parser.error(f"nothing called {', '.join(sorted(unknown))}: choose from {', '.join(KINDS)}")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(Settings(**values | {"rates": rates}), options["port"]))


KINDS = sorted({*TORTURE, *STEADY, *REFUSED, *BROKEN, "refusal-field"})

if __name__ == "__main__":
    main()
