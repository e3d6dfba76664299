"""Captions by a vision model behind any OpenAI-compatible server: Groq, OpenAI, vLLM, Ollama and their like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from ..data.decode import BadImage
from ..errors import ConfigError
from . import prompts, questionnaire
from .captioner import Caption, Estimate, Face, Failure, Outcome
from .chat import Answer, ChatError, Job, Messages, answers, text_tokens
from .endpoint import Endpoint, estimated
from .labels import written
from .picture import data_url, image_tokens

FORM_TOKENS = 500  # what the questionnaire's answers take beside the description
ANSWER_TOKENS = {True: 450, False: 160}  # of a usual answer, with and without the questionnaire
ANSWER_SECONDS = 3.0  # of a usual answer; anything from one to ten is common
SENTENCE = re.compile(r"(?s).*[.!?][\"”’)]*(?=\s|\Z)")


@dataclass(frozen=True)
class ApiConfig:
    """`prompt`: a name, a version of it ("paragraph.v1") or a file; `attributes`: fill in the questionnaire too.

    Pictures are sent with their longer side at most `max_side` pixels, as JPEG of that `quality`; `concurrency`
    requests at most are under way at a time. The rest is `Endpoint`'s: where to ask, limits and prices.
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
    prompt: str = "paragraph"
    attributes: bool = False
    language: str = "English"
    max_side: int = 512
    quality: int = 85
    concurrency: int = 8
    max_tokens: int = 300
    temperature: float = 0.2

    def __post_init__(self) -> None:
        _ = self.server  # checks what is its own
        for name in ("max_side", "concurrency", "max_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 1 <= self.quality <= 95:
            raise ConfigError(f"quality {self.quality}: JPEG's goes from 1 to 95")
        if not 0 <= self.temperature <= 2:
            raise ConfigError(f"temperature {self.temperature:g} must be within 0 and 2")

    @property
    def server(self) -> Endpoint:
        return Endpoint(**{f.name: getattr(self, f.name) for f in fields(Endpoint)})


class Api:
    """One question with one picture for each face."""

    name = "api"

    def __init__(self, config: ApiConfig | None = None) -> None:
        self.config = config or ApiConfig()
        name = "forensic" if self.config.attributes and self.config.prompt == "paragraph" else self.config.prompt
        template = prompts.load(name)
        self.form = "fields" in template.places
        if self.config.attributes and not self.form:
            raise ConfigError(f"the prompt {name!r} asks for no attributes: use forensic, or one with {{fields}} in it")
        self.prompt = template.fill(fields=questionnaire.form(), language=self.config.language)
        self.max_tokens = self.config.max_tokens + FORM_TOKENS * self.form
        self.server = self.config.server
        self.server.check()

    def facts(self) -> dict[str, Any]:
        found = {"captioner": self.name, "model": self.server.model_name, "endpoint": self.server.place}
        found |= {"prompt": self.prompt.name, "version": f"v{self.prompt.version}"}
        return found | ({"language": self.config.language} if self.config.language != "English" else {})

    def estimate(self, faces: int) -> Estimate:
        """From the size of the prompt and rules of thumb; the notes say which."""
        config = self.config
        asked = text_tokens(self._messages("")) + image_tokens(config.max_side)
        said = min(ANSWER_TOKENS[self.form], self.max_tokens)
        note = f"{asked} tokens for the prompt and a picture of {config.max_side} px, {said} for an answer"
        return estimated(self.server, faces, asked, said, ANSWER_SECONDS, config.concurrency, note)

    def stream(self, faces: Iterable[Face]) -> Iterator[Outcome]:
        """Outcomes in the order of the answers. Raises `UsageError` where no request can succeed."""
        found = answers(self.server, map(self._job, faces), self.config.concurrency)
        try:
            for job, answer in found:
                yield self._outcome(job.key, answer)
        finally:
            found.close()

    def _job(self, face: Face) -> Job:
        config = self.config
        return Job(
            face, partial(self._seen, face), self.max_tokens, config.temperature, self.form,
            image_tokens(config.max_side),
        )  # fmt: skip

    def _seen(self, face: Face) -> Messages:
        try:
            return self._messages(data_url(face.picture(), self.config.max_side, self.config.quality))
        except BadImage as error:
            reason = f"{error.reason} ({error.detail})" if error.detail else error.reason
            raise ChatError("unreadable", reason, again=False) from None

    def _messages(self, url: str) -> Messages:
        picture = {"type": "image_url", "image_url": {"url": url}}
        text = {"type": "text", "text": self.prompt.user}
        return [{"role": "system", "content": self.prompt.system}, {"role": "user", "content": [text, picture]}]

    def _outcome(self, face: Face, answer: Answer | ChatError) -> Outcome:
        if isinstance(answer, ChatError):
            return Failure(face.name, answer.reason, answer.detail, answer.again, answer.usage)
        if self.form:
            return self._read(face, answer)
        text = answer.text if answer.whole else whole_sentences(answer.text)
        if not text:
            return Failure(face.name, "invalid", self._cut(), usage=answer.usage)
        return Caption(face.name, text, facts=self.facts(), usage=answer.usage, seconds=answer.seconds)

    def _read(self, face: Face, answer: Answer) -> Outcome:
        """The questionnaire's answer: attributes, and its own description or the grammar's of them."""
        attributes, problems = questionnaire.read(answer.text)
        if not attributes.said():
            # a refusal comes as plain text; how it is worded tells whoever reads the failures
            problems += [] if answer.whole else [self._cut()]
            return Failure(
                face.name, "invalid", f"{'; '.join(problems[-3:])}: {answer.text[:200]!r}", usage=answer.usage
            )
        said = (questionnaire.find(answer.text) or {}).get("description")
        text = said.strip() if isinstance(said, str) else ""
        facts = self.facts() | ({"problems": problems} if problems else {})
        return Caption(
            face.name, text or written(attributes, face.name), attributes,
            facts=facts | ({} if text else {"wording": "grammar"}), usage=answer.usage, seconds=answer.seconds,
        )  # fmt: skip

    def _cut(self) -> str:
        return f"cut off at {self.max_tokens} tokens: raise max_tokens"


def whole_sentences(text: str) -> str:
    """A text that was cut off, up to its last whole sentence."""
    found = SENTENCE.match(text)
    return found[0] if found else ""
