"""Questions to a language model behind an OpenAI-compatible server, many at a time and within its limits.

for job, answer in answers(Endpoint("groq", "..."), jobs, concurrency=8):   # an Answer or a ChatError for each job
    ...
"""

from __future__ import annotations

import asyncio
import contextlib
import json as jsonlib
import queue
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, cast

from ..errors import MissingExtra, UsageError
from .captioner import Usage
from .endpoint import ENDPOINTS, Endpoint, configured
from .limits import Grant, Limiter, backoff
from .trouble import ChatError, Unreachable, Unsupported, judge

__all__ = ["ENDPOINTS", "Answer", "Chat", "ChatError", "Endpoint", "Job", "answers", "ask_once", "configured"]

Messages = list[dict[str, Any]]
THOUGHTS = re.compile(r"<think>.*?(</think>|\Z)", re.S)  # what reasoning models say to themselves
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # would speak to a terminal rather than to its reader
_grant: ContextVar[Grant] = ContextVar("grant")  # of the request that this task is sending
HOPELESS = 10  # so many questions refused by the server, and none accepted: it is not the questions


@dataclass(frozen=True)
class Answer:
    """What the model said. `whole` is False where it was cut off at `max_tokens`; `seconds` from the first try on."""

    text: str
    usage: Usage
    whole: bool = True
    seconds: float = 0.0


@dataclass(frozen=True)
class Job:
    """A question and whatever tells it from others. `messages` may be a function that makes them: it runs in a thread
    when the job's turn comes, and may raise `ChatError`. `tokens` is what pictures are expected to cost.
    """

    key: Any
    messages: Messages | Callable[[], Messages]
    max_tokens: int = 300
    temperature: float = 0.2
    json: bool = False
    tokens: int = 0


class Chat:
    """A connection to one server, for use on one event loop: `async with Chat(endpoint) as chat: await chat.ask(...)`.

    At most `concurrency` requests are under way at a time; every try counts against the limits.
    """

    def __init__(self, endpoint: Endpoint, concurrency: int = 8) -> None:
        try:
            import openai
        except ImportError:
            raise MissingExtra("asking a server needs the openai client: pip install 'likeness[caption]'") from None

        endpoint.check()
        self.endpoint = endpoint
        self.limiter = Limiter(endpoint.requests_per_minute, endpoint.tokens_per_minute, endpoint.window)
        self.slots = asyncio.Semaphore(concurrency)
        self.client = openai.AsyncOpenAI(
            base_url=endpoint.url, api_key=endpoint.key, timeout=endpoint.timeout, max_retries=0,
            http_client=openai.DefaultAsyncHttpx2Client(event_hooks={"request": [self._watch]}),
        )  # fmt: skip
        self.names = {"max_tokens": "max_tokens", "temperature": "temperature", "response_format": "response_format"}
        self.ratio = 0.0  # the largest seen of tokens counted by the server and estimated here
        self.reached = self.accepted = False
        self.refused = 0

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.close()

    async def ask(
        self, messages: Messages, max_tokens: int = 300, temperature: float = 0.2, json: bool = False, tokens: int = 0
    ) -> Answer:
        """Ask until there is an answer or the tries are used up.

        Raises `ChatError`, or `UsageError` for what every other request would meet too.
        """
        settings: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature}
        settings |= {"response_format": {"type": "json_object"}} if json else {}
        started, tries, spent = time.monotonic(), 0, Usage(requests=0)
        while True:
            tries, names = tries + 1, dict(self.names)
            try:
                named = {name: settings[key] for key, name in names.items() if key in settings}
                found = await self._try(messages, named, max_tokens, tokens)
                usage = self.endpoint.total(spent, found.usage)
                return replace(found, usage=usage, seconds=time.monotonic() - started)
            except Unsupported as error:
                if error.detail not in names:
                    raise
                self._adapt(error.detail, names)
                tries, spent = tries - 1, self.endpoint.total(spent, Usage())
            except ChatError as error:
                spent = error.usage = self.endpoint.total(spent, error.usage or Usage())
                if not error.again or tries > self.endpoint.retries:
                    self._despair(error)
                    raise
                if error.wait:
                    self.limiter.pause(error.wait)
                else:  # "Retry-After: 0" too, or all tries would be gone in a moment
                    window = self.endpoint.window
                    await asyncio.sleep(backoff(tries - 1, window / 60, window))

    async def _try(self, messages: Messages, named: dict[str, Any], max_tokens: int, tokens: int) -> Answer:
        """One request."""
        written = tokens + text_tokens(messages)
        expected = round(written * (self.ratio or 1.0))
        async with self.slots:
            grant = await self.limiter.acquire(expected + max_tokens)
            _grant.set(grant)
            took = grant.tokens  # what a request that never comes back may have cost
            try:
                answer = await self._request(messages, named)
                if answer.usage.tokens_in:
                    took = answer.usage.tokens_in + answer.usage.tokens_out
                    self.ratio = max(self.ratio, answer.usage.tokens_in / written)
            except ChatError as error:
                if error.reason in ("limit", "server", "refused") and not isinstance(error, Unreachable):
                    took = expected  # nothing was written
                raise
            finally:
                self.limiter.settle(grant, took)
        if not answer.text:
            cut = f" before it was cut off at {max_tokens} tokens: raise max_tokens"
            detail = f"the model said nothing{'' if answer.whole else cut}"
            raise ChatError("empty", detail, again=False, usage=answer.usage)
        return answer

    async def _watch(self, request: Any) -> None:
        """Have the limiter told when the request has left, since making the connection may take its time."""
        grant = _grant.get()

        async def told(event: str, info: Any) -> None:
            if event.endswith("send_request_body.complete"):
                self.limiter.sent(grant)

        request.extensions["trace"] = told

    async def _request(self, messages: Messages, named: dict[str, Any]) -> Answer:
        try:
            # the client's own timeout is for each byte that comes
            async with asyncio.timeout(self.endpoint.timeout):
                raw = await self.client.chat.completions.with_raw_response.create(
                    model=self.endpoint.model_name, messages=cast(Any, messages), **named
                )
            self.reached = True
            found = self._read(raw.text)
        except ChatError:
            raise
        except Exception as error:
            trouble = judge(error, self.endpoint)
            self.reached = self.reached or not isinstance(trouble, Unreachable)
            raise trouble from None
        self.accepted = True
        return found

    def _read(self, text: str) -> Answer:
        """The body of an answer. Raises `ValueError` where it is not of the protocol, `ChatError` for a refusal."""
        whole = jsonlib.loads(text)
        try:
            choice = whole["choices"][0]
            message, ending = choice["message"], choice.get("finish_reason")
            counted = whole.get("usage") or {}
            usage = self._usage(counted.get("prompt_tokens") or 0, counted.get("completion_tokens") or 0)
            content = message.get("content") or ""
            said = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
            refusal = message.get("refusal")
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"no {error} in it") from None
        if refusal or ending == "content_filter":
            raise ChatError("refused", str(refusal or "content filter")[:300], again=False, usage=usage)
        return Answer(CONTROL.sub("", THOUGHTS.sub("", said)).strip(), usage, whole=ending != "length")

    def _usage(self, tokens_in: int, tokens_out: int) -> Usage:
        return Usage(tokens_in, tokens_out, 1, self.endpoint.cost(tokens_in, tokens_out))

    def _adapt(self, parameter: str, sent: dict[str, str]) -> None:
        """Say a parameter as newer models want it, or leave it out; unless another request has found out before."""
        if self.names.get(parameter) == sent[parameter]:
            del self.names[parameter]
            if sent[parameter] == "max_tokens":
                self.names[parameter] = "max_completion_tokens"

    def _despair(self, error: ChatError) -> None:
        """Raise `UsageError` when it is the server rather than the question."""
        if isinstance(error, Unreachable) and not self.reached:
            raise UsageError(f"cannot reach {self.endpoint.url} ({error.detail}): is it running? Or mend --endpoint.")
        if not error.again and not self.accepted:
            self.refused += 1
            if self.refused >= HOPELESS:
                raise UsageError(
                    f"{self.endpoint.url} has refused all of {self.refused} questions to {self.endpoint.model_name!r} "
                    f"({error.detail}): can this model see pictures? Choose another with --model."
                )


def text_tokens(messages: Messages) -> int:
    """About how many tokens the text of a question is, rather too many: three letters each, and the frame."""
    parts = [m["content"] for m in messages]
    texts = [p if isinstance(p, str) else "".join(q.get("text", "") for q in p) for p in parts]
    return sum(len(t) // 3 + 8 for t in texts)


def ask_once(
    endpoint: Endpoint, system: str, user: str, max_tokens: int = 300, temperature: float = 0.2, json: bool = False
) -> str:
    """The answer to one question, as text. Raises `UsageError` where there is none."""
    job = Job(None, [{"role": "system", "content": system}, {"role": "user", "content": user}], max_tokens, temperature)
    ((_, found),) = answers(endpoint, [replace(job, json=json)], 1)
    if isinstance(found, ChatError):
        raise UsageError(f"{endpoint.url} gave no answer ({found}).")
    return found.text


def answers(
    endpoint: Endpoint, jobs: Iterable[Job], concurrency: int = 8
) -> Generator[tuple[Job, Answer | ChatError], None, None]:
    """Each job with its answer, in the order of the answers; jobs are pulled as there is room for them.

    Raises `UsageError` out of the stream when no request can succeed. Closing it cancels what is under way.
    """
    done: queue.SimpleQueue[tuple[Job, Answer | BaseException]] = queue.SimpleQueue()
    chat = Chat(endpoint, concurrency)
    supply, more, under_way = iter(jobs), True, 0
    # twice as many as can be under way: pictures are made ready, and nobody waits while the caller writes
    with _loop(chat) as loop:
        while True:
            while more and under_way < 2 * concurrency:
                if (job := next(supply, None)) is None:
                    more = False
                else:
                    asyncio.run_coroutine_threadsafe(_work(chat, job, done), loop)
                    under_way += 1
            if not under_way:
                return
            job, found = done.get()
            under_way -= 1
            if isinstance(found, Answer | ChatError):
                yield job, found
            else:
                raise found


async def _work(chat: Chat, job: Job, done: queue.SimpleQueue[tuple[Job, Answer | BaseException]]) -> None:
    try:
        messages = await asyncio.to_thread(job.messages) if callable(job.messages) else job.messages
        done.put((job, await chat.ask(messages, job.max_tokens, job.temperature, job.json, job.tokens)))
    except Exception as error:
        done.put((job, error))


@contextlib.contextmanager
def _loop(chat: Chat) -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own. On leaving, all that runs on it is cancelled and the thread is gone."""
    ready: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = queue.SimpleQueue()

    async def live() -> None:
        stop = asyncio.Event()
        ready.put((asyncio.get_running_loop(), stop))
        await stop.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await chat.client.close()

    thread = threading.Thread(target=asyncio.run, args=(live(),), name="likeness-chat", daemon=True)
    thread.start()
    loop, stop = ready.get()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
