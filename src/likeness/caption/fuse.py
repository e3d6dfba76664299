"""Labels and what `eye` sees become a bag of words; a language model that sees no picture writes them out.

The method of Tarasiou et al., "Improving face generation quality and prompt following with synthetic captions", arXiv
2405.10864. Labels win: an answer that contradicts them is asked for once more, naming the contradiction, and is then
replaced by the grammar's own text.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import Any

from .. import grammar
from ..config import suggest
from ..errors import ConfigError
from ..records import Attributes
from . import prompts
from .agreement import Conflict, conflicts, labels_of
from .captioner import Caption, Estimate, Face, Failure, Outcome, Usage
from .chat import Answer, ChatError, Job, Messages, answers, text_tokens
from .endpoint import Endpoint, estimated
from .labels import draw, written
from .seen import Eyes, Sure, attributes, surely

DETECTORS = ("none", "eye")
ANSWER_TOKENS, ANSWER_SECONDS = 130, 2.0  # of a usual answer
AGAIN = (
    "That contradicts the list: {conflicts}. Write the paragraph once more, with all that the list says and nothing "
    "against it. Answer with the paragraph alone."
)


@dataclass(frozen=True)
class FuseConfig:
    """Where to ask, limits and prices are `Endpoint`'s. `detector`: "eye" adds what our small model sees with at least
    `threshold` where the labels are silent, marked as uncertain. `seed` shuffles the words of a bag.
    """

    endpoint: str = ""
    model: str = ""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    window: float = 60.0
    timeout: float = 60.0
    retries: int = 6
    price_in: float | None = None
    price_out: float | None = None
    prompt: str = "fuse"
    language: str = "English"
    concurrency: int = 8
    max_tokens: int = 300
    temperature: float = 0.7
    detector: str = "none"
    threshold: float = 0.7
    eye: str | None = None
    device: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _ = self.server  # checks what is its own
        if self.detector not in DETECTORS:
            raise ConfigError(f"no detector {self.detector!r}{suggest(self.detector, list(DETECTORS))}")
        for name in ("concurrency", "max_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    def server(self) -> Endpoint:
        return Endpoint(**{f.name: getattr(self, f.name) for f in fields(Endpoint)})


@dataclass
class Bag:
    """What is known of a face: its labels, what the detector adds to them, and the conversation so far."""

    face: Face
    labels: Attributes
    seen: Sure = field(default_factory=dict)
    messages: Messages = field(default_factory=list)
    wrong: list[Conflict] = field(default_factory=list)  # with the labels, in the answer before
    usage: Usage = field(default_factory=lambda: Usage(requests=0))
    seconds: float = 0.0


class Fuse:
    name = "fuse"

    def __init__(self, config: FuseConfig | None = None) -> None:
        self.config = config or FuseConfig()
        self.prompt = prompts.load(self.config.prompt)
        if "words" not in self.prompt.places:
            raise ConfigError(f"the prompt {self.config.prompt!r} has no place {{words}} for the bag of words")
        self.server = self.config.server
        self.server.check()
        self.eyes = Eyes(self.config.eye, self.config.device) if self.config.detector == "eye" else None

    def facts(self) -> dict[str, Any]:
        found = {"captioner": self.name, "model": self.server.model_name, "endpoint": self.server.place}
        found |= {"prompt": self.prompt.name, "version": f"v{self.prompt.version}"}
        return found | ({"detector": self.eyes.title, "threshold": self.config.threshold} if self.eyes else {})

    def estimate(self, faces: int) -> Estimate:
        """From rules of thumb; the notes say which."""
        asked = text_tokens(self._messages("a bag of words " * 8))
        notes = f"{asked} tokens for a bag of words, {ANSWER_TOKENS} for an answer", "a contradiction costs one more"
        return estimated(self.server, faces, asked, ANSWER_TOKENS, ANSWER_SECONDS, self.config.concurrency, *notes)

    def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]:
        """Outcomes in the order of the answers. Raises `UsageError` where no request can succeed."""
        silent: deque[Failure] = deque()  # faces of which nothing is known
        again: deque[Bag] = deque()
        bags = self._bags(faces, silent)

        def jobs() -> Iterator[Job]:
            while bag := again.popleft() if again else next(bags, None):
                yield Job(bag, bag.messages, self.config.max_tokens, self.config.temperature)

        while True:
            found = answers(self.server, jobs(), self.config.concurrency)
            try:
                for job, answer in found:
                    outcome = self._judged(job.key, answer)
                    again.extend([outcome] if isinstance(outcome, Bag) else [])
                    yield from (silent.popleft() for _ in range(len(silent)))
                    if not isinstance(outcome, Bag):
                        yield outcome
            finally:
                found.close()
            yield from (silent.popleft() for _ in range(len(silent)))
            if not again:  # the last faces to be asked once more: `answers` had ended its supply before
                return
            if self.config.requests_per_minute or self.config.tokens_per_minute:
                time.sleep(self.config.window)  # a new connection counts from nothing, the server does not

    def _bags(self, faces: Iterable[Face], silent: deque[Failure]) -> Iterator[Bag]:
        waiting = iter(faces)
        while batch := list(islice(waiting, self.config.concurrency if self.eyes else 1)):
            looks = self.eyes.look(batch) if self.eyes else [{}] * len(batch)
            for face, look in zip(batch, looks, strict=True):
                if isinstance(look, Failure):
                    silent.append(look)
                    continue
                labels = labels_of(face.record)
                sure = surely(look, self.config.threshold)
                bag = Bag(face, labels, {name: found for name, found in sure.items() if name not in labels.said()})
                words = self._words(bag)
                bag.messages = self._messages(words)
                if words:
                    yield bag
                else:
                    silent.append(Failure(face.name, "no labels", "nothing is known of the face", again=False))

    def _words(self, bag: Bag) -> str:
        """The bag: the labels in the grammar's tags, then one line for each thing that the detector adds."""
        seed = draw(self.config.seed, bag.face.name)
        lines = [grammar.describe(bag.labels, "tags", seed)] if bag.labels.said() else []
        perhaps = (attributes({name: found}) for name, found in bag.seen.items())
        return "\n".join(lines + [f"perhaps {grammar.describe(one, 'tags', seed)}" for one in perhaps])

    def _messages(self, words: str) -> Messages:
        filled = self.prompt.fill(words=words, language=self.config.language)
        return [{"role": "system", "content": filled.system}, {"role": "user", "content": filled.user}]

    def _judged(self, bag: Bag, answer: Answer | ChatError) -> Outcome | Bag:
        """The caption, or the bag with its next question where the answer contradicts the labels for the first time."""
        bag.usage = self.server.total(bag.usage, answer.usage)
        if isinstance(answer, ChatError):
            return Failure(bag.face.name, answer.reason, answer.detail, answer.again, bag.usage)
        bag.seconds += answer.seconds
        wrong = conflicts(answer.text, bag.labels)
        if wrong and not bag.wrong:
            named = AGAIN.format(conflicts="; ".join(map(_named, wrong)))
            said = [{"role": "assistant", "content": answer.text}, {"role": "user", "content": named}]
            return replace(bag, messages=bag.messages + said, wrong=wrong)
        facts = self.facts()
        if wrong:
            facts |= {"wording": "grammar", "note": f"contradicted twice, {'; '.join(map(str, wrong))}"}
        text = written(bag.labels, bag.face.name, seed=self.config.seed) if wrong else answer.text
        confidence = {name: round(chance, 3) for name, (_, chance) in bag.seen.items()}
        seen = attributes(bag.seen) if bag.seen else None
        return Caption(bag.face.name, text, seen, confidence, facts, bag.usage, bag.seconds)


def _named(conflict: Conflict) -> str:
    return f"you wrote {conflict.said} for the {conflict.field.replace('_', ' ')}, the list says {conflict.label}"
