"""What batches and workers gain a server: throughput and latency of `likeness serve` against one request at a time.

Two servers of the same model, marks and store stand side by side and take turns: one as `likeness serve` starts it, one
with `workers=1` and `max_batch=1`. Clients ask over HTTP, each for its next face when it has the last. Then more is
asked for at once than the queue holds. `--memory N` watches the memory of server and workers over N requests instead.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from likeness.files import write_json

PROMPT = "A smiling woman in her thirties with long black hair, brown skin and earrings looks into the camera."
SIDES = {"likeness": {}, "one at a time": {"workers": 1, "max_batch": 1}}
COMMON = {"port": 0, "cache": "false", "rate_per_minute": 1_000_000, "deadline": 600, "queue": 64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--requests", type=int, default=0, help="for each number of clients; default: 8, 32 and 64")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--workers", type=int, default=0, help="of the first server; default: as it chooses")
    parser.add_argument("--at-once", type=int, default=160, help="requests that are thrown at the queue of 64")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="watch memory over N requests of 1 step")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/serve.json"))
    options = parser.parse_args()
    found = asyncio.run(watch_memory(options) if options.memory else race(options))
    about = {"cores": os.cpu_count(), "machine": platform.machine(), "steps": options.steps, "model": options.model}
    write_json(options.output, found | about)
    print(f"written to {options.output}")


async def race(options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        mine = {"workers": options.workers} if options.workers else {}
        servers = {
            name: stack.enter_context(
                server(COMMON | {"model": options.model} | changes | (mine if not changes else {}))
            )
            for name, changes in SIDES.items()
        }
        for url, _ in servers.values():
            await load(url, 2, 4, 1)  # warms up
        rows = []
        for clients in options.clients:
            count = options.requests or max(8, min(4 * clients, 64), clients)
            for name, (url, _) in servers.items():
                rows.append({"side": name, "clients": clients} | await load(url, clients, count, options.steps))
                show(rows[-1])
        by = {(row["side"], row["clients"]): row["per_second"] for row in rows}
        gain = {n: by["likeness", n] / by["one at a time", n] for n in options.clients}
        for clients, ratio in gain.items():
            print(f"{clients:3} clients: {ratio:.2f} times as many faces as one at a time")
        return {"rows": rows, "gain": gain, "queue": await flood(servers["likeness"][0], options.at_once)}


async def flood(url: str, at_once: int) -> dict[str, Any]:
    """More at once than the queue holds: the rest is told to come again, and the queue never grows beyond its limit."""
    depths: list[float] = []
    async with client(url, at_once) as http:

        async def look() -> None:
            while True:
                told = (await http.get("/metrics")).text.splitlines()
                depths.extend(float(line.split()[-1]) for line in told if line.startswith("likeness_queue_depth "))
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        answers = await asyncio.gather(*(http.post("/v1/images", json=body(seed, 4)) for seed in range(at_once)))
        looking.cancel()
    codes = [answer.status_code for answer in answers]
    later = [float(answer.headers["retry-after"]) for answer in answers if answer.status_code == 429]
    found = {
        "asked": at_once, "drawn": codes.count(200), "busy": codes.count(429),
        "other": len(codes) - codes.count(200) - codes.count(429), "longest_queue": max(depths, default=None),
        "retry_after": [min(later), max(later)] if later else None,
    }  # fmt: skip
    print(f"{at_once} at once: {found['drawn']} drawn, {found['busy']} told to come again, {found['other']} others; "
          f"queue at most {found['longest_queue']}, Retry-After {found['retry_after']} s")  # fmt: skip
    return found


async def watch_memory(options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory in MB of the server and of its workers, at the start and after each eighth of the requests."""
    with server(COMMON | {"model": options.model}) as (url, process):
        rows = [{"requests": 0} | memory(process.pid)]
        done, part = 0, max(1, options.memory // 8)
        while done < options.memory:
            await load(url, 8, part, 1, first=done)
            done += part
            rows.append({"requests": done} | memory(process.pid))
            print(
                f"{done:5} requests: server {rows[-1]['server']:.0f} MB, workers {rows[-1]['workers']:.0f} MB",
                flush=True,
            )
    grown = {who: rows[-1][who] - rows[len(rows) // 4][who] for who in ("server", "workers")}
    print(f"from the first quarter to the end: server {grown['server']:+.0f} MB, workers {grown['workers']:+.0f} MB")
    return {"memory": rows, "grown": grown}


async def load(url: str, clients: int, count: int, steps: int, first: int = 0) -> dict[str, Any]:
    """`count` faces for so many clients, each with one request under way."""
    seeds, seconds, busy = iter(range(first, first + count)), [], 0
    async with client(url, clients) as http:

        async def work() -> None:
            nonlocal busy
            for seed in seeds:
                started = time.perf_counter()
                while (answer := await http.post("/v1/images", json=body(seed, steps))).status_code == 429:
                    busy += 1
                    await asyncio.sleep(float(answer.headers["retry-after"]))
                if answer.status_code != 200:
                    raise SystemExit(f"{answer.status_code} for seed {seed}: {answer.text}")
                seconds.append(time.perf_counter() - started)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(clients)))
        whole = time.perf_counter() - began
    at = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
    return {
        "requests": count, "seconds": whole, "per_second": count / whole, "busy": busy,
        "p50": at[49], "p95": at[94], "p99": at[98],
    }  # fmt: skip


def body(seed: int, steps: int) -> dict[str, Any]:
    return {"prompt": PROMPT, "seed": seed, "steps": steps}


def client(url: str, most: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=most + 2)
    return httpx.AsyncClient(base_url=url, timeout=600, limits=limits)


@contextmanager
def server(settings: dict[str, Any]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server of its own, with a state folder of its own; its address and process."""
    with tempfile.TemporaryDirectory() as home:
        sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        log = open(Path(home) / "log", "w+")  # noqa: SIM115
        process = subprocess.Popen(
            [sys.executable, "-m", "likeness", "serve", *sets], stdout=subprocess.PIPE, stderr=log, text=True,
            env=os.environ | {"LIKENESS_HOME": home},
        )  # fmt: skip
        try:
            assert process.stdout
            line = process.stdout.readline()  # comes when the model is loaded
            if "serves at " not in line:
                raise SystemExit(f"the server did not start: {(Path(home) / 'log').read_text()[-2000:]}")
            yield line.split("serves at ")[1].strip(), process
        finally:
            process.terminate()
            process.wait(60)
            log.close()


def memory(pid: int) -> dict[str, float]:
    """Resident MB of a process and of all its children."""
    children = subprocess.run(["ps", "-o", "rss=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    own = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout
    return {"server": int(own) / 1024, "workers": sum(map(int, children)) / 1024}


def show(row: dict[str, Any]) -> None:
    times = " ".join(f"{name} {row[name]:6.2f}" for name in ("p50", "p95", "p99"))
    print(f"{row['clients']:3} clients  {row['side']:14} {row['per_second']:5.2f} faces/s  {times} s", flush=True)


if __name__ == "__main__":
    main()
