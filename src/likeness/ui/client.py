"""The service, spoken to over HTTP: one method a question, plain JSON in and out, `Problem` for everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx

from . import problems
from .problems import Problem

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
TIMEOUT = httpx.Timeout(120.0, connect=5.0)
SILENCE = 60.0  # seconds without a word on an event stream, after which it is asked for again


class Client:
    """`Client("http://127.0.0.1:8000", key="lk-…")`. Every method raises `Problem`; threads may share it."""

    def __init__(self, url: str, key: str = "") -> None:
        self.url, self.key = url.rstrip("/"), key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # a proxy that is set for the internet knows no server on this machine
        outside = urlsplit(self.url).hostname not in LOOPBACK
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=outside)

    def attributes(self) -> dict[str, Any]:
        """The questions of the form: {"groups": [...], "ages": {...}}."""
        return self._json("GET", "/v1/attributes")

    def describe(self, attributes: dict[str, Any] | None = None, text: str = "", rewrite: bool = False) -> dict:
        """A description: {"caption", "attributes", "notes"}; of attributes, or of a text that is read or rewritten."""
        body: dict[str, Any] = {"rewrite": rewrite}
        body |= {"attributes": attributes} if attributes else {}
        body |= {"prompt_text": text} if text else {}
        return self._json("POST", "/v1/captions", json=body)

    def models(self) -> list[dict[str, Any]]:
        return self._json("GET", "/v1/models").get("data", [])

    def loras(self) -> list[str]:
        answer = self._json("GET", "/v1/loras")
        rows = answer.get("loras") or answer.get("data") or []
        return [str(row.get("name") or row.get("id")) if isinstance(row, dict) else str(row) for row in rows]

    def submit(self, body: dict[str, Any]) -> str:
        """Ask for faces; the job's id."""
        return str(self._json("POST", "/v1/jobs", json=body)["id"])

    def job(self, job: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/jobs/{job}")

    def cancel(self, job: str) -> None:
        self._ask("DELETE", f"/v1/jobs/{job}")

    def events(self, job: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happens to a job, from its beginning: (kind, data) as it comes."""
        timeout = httpx.Timeout(SILENCE, connect=5.0)
        try:
            with self._http.stream("GET", f"/v1/jobs/{job}/events", timeout=timeout) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise self._problem(answer)
                yield from read_events(answer.iter_lines())
        except httpx.HTTPError as error:
            raise self._lost(error) from error

    def history(self, q: str = "", favourites: bool = False, cursor: str | None = None, limit: int = 12) -> dict:
        """A page of what was drawn, the newest first: {"entries": [...], "next": cursor or None}."""
        asked: dict[str, str | int] = {"limit": limit}
        asked |= {"q": q} if q else {}
        asked |= {"favourites": "true"} if favourites else {}
        asked |= {"cursor": cursor} if cursor else {}
        return self._json("GET", "/v1/history", params=asked)

    def entry(self, entry: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/history/{entry}")

    def delete(self, entry: str) -> None:
        self._ask("DELETE", f"/v1/history/{entry}")

    def favourite(self, entry: str, on: bool) -> None:
        self._ask("PUT" if on else "DELETE", f"/v1/history/{entry}/favourite")

    def picture(self, digest: str) -> bytes:
        """The PNG with everything that is written into it."""
        return self._ask("GET", f"/v1/images/{digest}.png").content

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise self._lost(error) from error
        if not answer.is_success:
            raise self._problem(answer)
        return answer

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        body = _parsed(self._ask(method, path, **more))
        if not isinstance(body, dict):
            raise Problem(problems.STRANGE.format(url=self.url))
        return body

    def _problem(self, answer: httpx.Response) -> Problem:
        return problems.from_answer(answer.status_code, _parsed(answer), answer.headers.get("retry-after"), self.url)

    def _lost(self, error: httpx.HTTPError) -> Problem:
        late = isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout)
        return Problem(problems.SLOW if late else problems.LOST.format(url=self.url))


def read_events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Server-sent events (WHATWG HTML, 9.2) with JSON data; comments and broken data are passed over."""
    kind, data = "message", []
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif not line:
            try:
                found = json.loads("\n".join(data)) if data else None
            except ValueError:
                found = None
            if isinstance(found, dict):
                yield kind, found
            kind, data = "message", []


def _parsed(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
