"""The nouns that cross a border between packages: small frozen records, plain JSON in and out.

`FIELDS` is the one table of what can be said about a face. Attribute labels, captions, the grammar, zero-shot scores
and the web form are all driven by it, so a new value is added here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import RecordError


@dataclass(frozen=True)
class Field:
    """One attribute: its group on a form, the values it may take (canonical names), and whether several can hold."""

    group: str
    values: tuple[str, ...]
    many: bool = False


ETHNICITIES = ("White", "Black", "Latino", "East Asian", "Southeast Asian", "Indian", "Middle Eastern")

FIELDS: dict[str, Field] = {
    "gender": Field("demographics", ("female", "male")),
    "ethnicity": Field("demographics", (*ETHNICITIES, "Asian", "Native American", "Pacific Islander"), many=True),
    "skin_tone": Field("demographics", ("pale", "fair", "light", "medium", "olive", "tan", "brown", "dark")),
    "face_shape": Field("face", ("oval", "round", "square", "heart", "long", "diamond", "triangular")),
    "cheeks": Field("face", ("high cheekbones", "full", "hollow", "rosy"), many=True),
    "hair_color": Field(
        "hair",
        ("black", "dark brown", "brown", "light brown", "blond", "red", "gray", "white", "dyed"),
    ),
    "hair_length": Field("hair", ("bald", "very short", "short", "medium", "long", "tied back")),
    "hair_texture": Field("hair", ("straight", "wavy", "curly", "coily")),
    "hairline": Field("hair", ("receding", "thinning", "high", "low", "widow's peak")),
    "fringe": Field("hair", ("none", "full", "side-swept")),
    "facial_hair": Field("hair", ("none", "stubble", "moustache", "goatee", "full beard", "sideburns"), many=True),
    "eye_color": Field("eyes", ("brown", "black", "blue", "green", "hazel", "gray", "amber")),
    "eye_shape": Field(
        "eyes",
        ("almond", "round", "narrow", "big", "small", "deep-set", "hooded", "wide-set", "close-set", "bulging"),
        many=True,
    ),
    "eye_state": Field("eyes", ("open", "half-closed", "closed", "looking away")),
    "brows": Field("eyes", ("thick", "thin", "arched", "straight", "joined"), many=True),
    "nose": Field(
        "nose and mouth",
        ("big", "small", "wide", "narrow", "straight", "pointed", "hooked", "flat", "upturned", "crooked"),
        many=True,
    ),
    "lips": Field("nose and mouth", ("full", "thin", "wide", "chapped"), many=True),
    "mouth": Field("nose and mouth", ("closed", "open", "teeth showing")),
    "chin": Field(
        "nose and mouth",
        ("pointed", "round", "square", "double", "cleft", "prominent", "receding"),
        many=True,
    ),
    "expression": Field(
        "expression",
        ("neutral", "smiling", "laughing", "sad", "angry", "surprised", "fearful", "disgusted"),
        many=True,
    ),
    "glasses": Field("accessories", ("none", "eyeglasses", "sunglasses")),
    "headwear": Field("accessories", ("none", "hat", "cap", "headscarf", "turban", "other")),
    "jewellery": Field("accessories", ("none", "earrings", "necklace", "piercing", "bindi"), many=True),
    "makeup": Field("accessories", ("none", "visible")),
    "marks": Field(
        "marks",
        (
            "wrinkles", "freckles", "mole", "scar", "dimples", "bags under eyes", "acne", "birthmark", "tattoo",
            "braces",
        ),
        many=True,
    ),
    "occlusion": Field("picture", ("hand on face", "microphone"), many=True),
    "pose": Field("picture", ("frontal", "three-quarter", "profile")),
    "quality": Field("picture", ("good", "bad")),
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Age:
    """An age in years, or a range of ages; both ends belong to it. `Age(25)` is twenty-five."""

    low: int
    high: int = -1

    def __post_init__(self) -> None:
        if self.high == -1:
            object.__setattr__(self, "high", self.low)
        if not 0 <= self.low <= self.high <= 120:
            raise RecordError(f"age {self.low}-{self.high} is not a range within 0-120")

    @property
    def exact(self) -> bool:
        return self.low == self.high

    @classmethod
    def parse(cls, text: str | int) -> Age:
        """Read `25`, `20-29` or `70+`."""
        word = str(text).strip()
        try:
            if word.endswith("+"):
                return cls(int(word[:-1]), 120)
            low, dash, high = word.partition("-")
            return cls(int(low), int(high if dash else low))
        except ValueError:
            raise RecordError(f"age {text!r}: write a number, a range such as 20-29, or 70+") from None

    def __str__(self) -> str:
        if self.exact:
            return str(self.low)
        return f"{self.low}+" if self.high == 120 else f"{self.low}-{self.high}"


@dataclass(frozen=True)
class Attributes:
    """A person as structured fields; `None` or an empty tuple says nothing. See `FIELDS` for the values."""

    age: Age | None = None
    gender: str | None = None
    ethnicity: tuple[str, ...] = ()
    skin_tone: str | None = None
    face_shape: str | None = None
    cheeks: tuple[str, ...] = ()
    hair_color: str | None = None
    hair_length: str | None = None
    hair_texture: str | None = None
    hairline: str | None = None
    fringe: str | None = None
    facial_hair: tuple[str, ...] = ()
    eye_color: str | None = None
    eye_shape: tuple[str, ...] = ()
    eye_state: str | None = None
    brows: tuple[str, ...] = ()
    nose: tuple[str, ...] = ()
    lips: tuple[str, ...] = ()
    mouth: str | None = None
    chin: tuple[str, ...] = ()
    expression: tuple[str, ...] = ()
    glasses: str | None = None
    headwear: str | None = None
    jewellery: tuple[str, ...] = ()
    makeup: str | None = None
    marks: tuple[str, ...] = ()
    occlusion: tuple[str, ...] = ()
    pose: str | None = None
    quality: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.age, Age | None):
            raise RecordError(f"age takes an Age, not {self.age!r}: write Age.parse({str(self.age)!r})")
        for name, spec in FIELDS.items():
            value = getattr(self, name)
            if spec.many:
                if not isinstance(value, tuple | list | set | frozenset):
                    raise RecordError(f"{name} takes a list of values, not {value!r}")
                said = (
                    tuple(sorted(set(value), key=spec.values.index)) if set(value) <= set(spec.values) else tuple(value)
                )
                object.__setattr__(self, name, said)
            else:
                said = () if value is None else (value,)
            if wrong := [v for v in said if v not in spec.values]:
                raise RecordError(f"{name} cannot be {wrong[0]!r}: choose from {', '.join(spec.values)}")
            if len(said) > 1 and "none" in said:
                raise RecordError(f"{name} cannot be none and {next(v for v in said if v != 'none')} at once")

    def said(self) -> dict[str, Any]:
        """The fields that say something, in the order of declaration."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) not in (None, ())}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: ages as text, tuples as lists, silent fields left out."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in self.said().items()}
        return plain | ({"age": str(self.age)} if self.age else {})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Attributes:
        """Inverse of `to_dict`. Raises `RecordError` for an unknown field or value."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise RecordError(f"unknown attribute {unknown[0]!r}: choose from {', '.join(sorted(known))}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if v is not None}
        if values.get("age") is not None and not isinstance(values["age"], Age):
            values["age"] = Age.parse(values["age"])
        return cls(**values)


@dataclass(frozen=True)
class FaceRecord:
    """One line of `metadata.jsonl`. `file_name` and `text` are the Hugging Face ImageFolder convention.

    `extra` holds the keys of a row that have no field here, so that reading and writing a table loses nothing.
    """

    file_name: str
    text: str = ""
    attributes: Attributes | None = None
    source: str | None = None
    license: str | None = None
    split: str | None = None
    sha256: str | None = None
    box: tuple[float, float, float, float] | None = None
    landmarks: tuple[tuple[float, float], ...] | None = None
    caption: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: `file_name` and `text` always, other silent fields left out, the keys of `extra` beside them."""
        plain: dict[str, Any] = {"file_name": self.file_name, "text": self.text}
        if self.attributes is not None and (said := self.attributes.to_dict()):
            plain["attributes"] = said
        plain |= {k: v for k in ("source", "license", "split", "sha256") if (v := getattr(self, k)) is not None}
        # always floats: a reader that guesses types from the first rows must not take a column for integers
        if self.box is not None:
            plain["box"] = [float(v) for v in self.box]
        if self.landmarks is not None:
            plain["landmarks"] = [[float(v) for v in point] for point in self.landmarks]
        if self.caption is not None:
            plain["caption"] = self.caption
        return plain | {k: v for k, v in self.extra.items() if k not in plain}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FaceRecord:
        """Inverse of `to_dict`. A key without a field, or a value of another kind than its field's, goes to `extra`.

        Raises `RecordError` when `file_name` is missing, `text` is no text, or `attributes` say what no face can.
        """
        row = dict(data)
        file_name, text, attributes = row.pop("file_name", None), row.pop("text", None), row.pop("attributes", None)
        if not isinstance(file_name, str) or not file_name.strip():
            raise RecordError("a row needs a file_name")
        if not isinstance(text, str | None):
            raise RecordError(f"text takes one string, not {str(text)[:40]!r}")
        values: dict[str, Any] = {}
        if isinstance(attributes, dict):
            values["attributes"] = Attributes.from_dict(attributes)
        elif attributes is not None:
            row["attributes"] = attributes
        for name, fits in _FITS.items():
            if name in row and (row[name] is None or fits(row[name])):
                values[name] = row.pop(name)
        if values.get("box") is not None:
            values["box"] = tuple(map(float, values["box"]))
        if values.get("landmarks") is not None:
            values["landmarks"] = tuple(tuple(map(float, point)) for point in values["landmarks"])
        return cls(file_name=file_name, text=text or "", **values, extra=row)


def _numbers(value: Any, count: int) -> bool:
    listed = isinstance(value, list | tuple) and len(value) == count
    return listed and all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9 for v in value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


_FITS: dict[str, Callable[[Any], bool]] = {
    "source": _text, "license": _text, "split": _text, "sha256": _text,
    "box": lambda value: _numbers(value, 4),
    "landmarks": lambda value: isinstance(value, list | tuple) and all(_numbers(point, 2) for point in value),
    "caption": lambda value: isinstance(value, dict),
}  # fmt: skip


@dataclass(frozen=True)
class ImageRequest:
    """What to draw. `None` means the model family's own default; `Sample.request` holds the values that were used."""

    prompt: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    count: int = 1
    model: str = "mini"
    loras: tuple[tuple[str, float], ...] = ()
    scheduler: str | None = None
    image: str | None = None
    strength: float = 0.8
    mask: str | None = None  # path of a picture as large as the start image; white is drawn anew, black stays
    original_size: tuple[int, int] | None = None  # SDXL: width and height that the picture is to look resized from
    guidance_interval: tuple[float, float] | None = None  # where guidance holds, of 0 (noise) to 1 (picture)


@dataclass(frozen=True)
class Sample:
    """A drawn face: the PIL image, the request as it was resolved, its own seed, seconds, the model's fingerprint."""

    image: Any
    request: ImageRequest
    seed: int
    seconds: float
    fingerprint: str
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Score:
    """A measured number with its 95 % interval, the number of images behind it, and how it was measured."""

    metric: str
    value: float
    low: float
    high: float
    count: int
    protocol: str
