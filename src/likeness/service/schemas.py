"""The bodies that come in and go out, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# without the control characters that neither PNG texts nor PostgreSQL take
Text = Annotated[str, Field(pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LONGEST = 5000  # characters of a prompt; `max_prompt` of the settings may ask for less
LARGEST_SEED = 2**64 - 1 - 8


def _whole(value: Any) -> Any:
    """1.0 is an integer in JSON Schema, so it is one here."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
Prompt = Annotated[Text, Field(min_length=1, max_length=LONGEST)]
Negative = Annotated[Text, Field(max_length=LONGEST)]
Side = Annotated[Whole, Field(ge=8, le=4096)]
Name = Annotated[Text, Field(min_length=1, max_length=200)]
Part = Annotated[float, Field(ge=0, le=1)]
Base64 = Annotated[str, Field(min_length=8, max_length=32 << 20)]


class Body(BaseModel):
    """What a client sends: no unknown keys, and no text for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class LoraBody(Body):
    """One of the names of `GET /v1/loras`."""

    name: Name
    weight: float = Field(1.0, ge=-10, le=10)


class DrawingBody(Body):
    """What all ways of asking for a picture share. `null` is the model's own default."""

    negative_prompt: Negative = ""
    width: Side | None = None
    height: Side | None = None
    steps: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    guidance: float | None = Field(None, ge=0, le=100)
    guidance_interval: list[Part] | None = Field(
        None, min_length=2, max_length=2, description="Where guidance holds, of 0 (noise) to 1 (picture): [0, 0.6]."
    )
    seed: Annotated[Whole, Field(ge=0, le=LARGEST_SEED)] | None = None
    model: Name | None = None
    loras: list[LoraBody] = Field(default_factory=list, max_length=8)
    scheduler: Name | None = None
    image: Base64 | None = Field(None, description="Start picture: base64 (PNG, JPEG, WebP), or a history entry's id.")
    strength: float | None = Field(None, gt=0, le=1, description="How far to leave the start picture; 0.8 by default.")
    mask: Base64 | None = Field(None, description="Base64 picture as large as the start picture; white is drawn anew.")
    timeout_s: float | None = Field(None, gt=0, le=86400)


class ImageBody(DrawingBody):
    """A request for faces."""

    prompt: Prompt
    count: Annotated[Whole, Field(ge=1, le=8)] = 1
    attributes: dict[str, Any] | None = Field(None, description="What the prompt was written from; kept in history.")
    parent: Name | None = Field(None, description="The history entry that this one refines.")
    response_format: Literal["url", "b64_json"] = "url"


class GenerateImageBody(DrawingBody):
    """The field's own form of a request: one picture."""

    caption: Prompt


class PromptTextBody(Body):
    prompt_text: Prompt


class CaptionBody(Body):
    """Attributes, a text, or both. With `rewrite` what they leave open is filled in."""

    attributes: dict[str, Any] | None = None
    prompt_text: Prompt | None = None
    rewrite: bool = False


class OpenAIBody(BaseModel):
    """OpenAI's request. What has no meaning here (quality, style, user, …) is taken and ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    prompt: Prompt
    model: Name | None = None
    n: Annotated[Whole, Field(ge=1, le=8)] | None = None
    size: Annotated[str, Field(pattern=r"^(auto|[0-9]{1,4}x[0-9]{1,4})$")] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Literal["png"] | None = None
    stream: Literal[False] | None = None
    user: Annotated[str, Field(max_length=1000)] | None = None
    seed: Annotated[Whole, Field(ge=0, le=LARGEST_SEED)] | None = None
    negative_prompt: Negative | None = None
    steps: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    guidance: float | None = Field(None, ge=0, le=100)


class ErrorBody(BaseModel):
    code: str
    message: str
    type: str
    param: str | None


class ErrorAnswer(BaseModel):
    error: ErrorBody


class PictureAnswer(BaseModel):
    """One face. `id` is its history entry; `recipe` draws it again."""

    id: str
    url: str
    b64_json: str | None = None
    seed: int
    width: int
    height: int
    digest: Digest
    cached: bool
    recipe: dict[str, Any]


class ImagesAnswer(BaseModel):
    id: str
    created: int
    pictures: list[PictureAnswer]
    notes: list[str]
    model: str
    fingerprint: str


class JobCreated(BaseModel):
    id: str
    status: str
    position: int
    events: str


class JobAnswer(BaseModel):
    id: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    step: int
    steps: int
    position: int
    pictures: list[PictureAnswer]
    notes: list[str]
    error: ErrorBody | None
    events: str


class StatusImageAnswer(BaseModel):
    status: Literal["success"] = "success"
    image_url: str


class StatusCaptionAnswer(BaseModel):
    status: Literal["success"] = "success"
    caption: str


class CaptionAnswer(BaseModel):
    caption: str
    attributes: dict[str, Any]
    notes: list[str]


class FieldAnswer(BaseModel):
    name: str
    title: str
    values: list[str]
    many: bool
    mandatory: bool


class GroupAnswer(BaseModel):
    name: str
    title: str
    fields: list[FieldAnswer]


class AgesAnswer(BaseModel):
    minimum: int
    maximum: int
    ranges: list[str]
    mandatory: bool


class AttributesAnswer(BaseModel):
    groups: list[GroupAnswer]
    ages: AgesAnswer


class EntryAnswer(BaseModel):
    """One answered picture or caption of the history."""

    id: str
    created: str
    kind: Literal["image", "caption"]
    prompt: str
    negative_prompt: str
    request: dict[str, Any]
    seed: int | None
    digest: str | None
    url: str | None
    width: int | None
    height: int | None
    model: str
    fingerprint: str
    attributes: dict[str, Any] | None
    parent: str | None
    seconds: float
    favourite: bool


class HistoryAnswer(BaseModel):
    entries: list[EntryAnswer]
    next: str | None


class DeletedAnswer(BaseModel):
    id: str
    deleted: bool


class ModelAnswer(BaseModel):
    """OpenAI's form; what it has no room for is under `likeness`."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    likeness: dict[str, Any]


class ModelsAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelAnswer]


class PurgedAnswer(BaseModel):
    """Cached answers that are forgotten, and files that went with them."""

    answers: int
    pictures: int
    bytes: int


class LoraAnswer(BaseModel):
    name: str


class LorasAnswer(BaseModel):
    loras: list[LoraAnswer]


class OpenAIPicture(BaseModel):
    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str


class OpenAIAnswer(BaseModel):
    created: int
    data: list[OpenAIPicture]


class HealthAnswer(BaseModel):
    status: Literal["ok"] = "ok"
    version: str


class ReadyAnswer(BaseModel):
    status: Literal["ready"] = "ready"
    checks: dict[str, bool]


class VerdictAnswer(BaseModel):
    """What a picture says of itself; `notes`: what could not be looked at, and why."""

    conclusion: str
    of_likeness: bool
    recipe: dict[str, Any] | None
    xmp: bool
    manifest: dict[str, Any] | None
    watermark: dict[str, Any] | None
    belongs: bool | None = Field(description="Whether the recipe is this picture's, by the watermark.")
    notes: list[str]
