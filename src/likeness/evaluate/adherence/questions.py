"""What may be asked of a face, by field: every value that a judge can tell apart, and the words for zero-shot."""

from __future__ import annotations

from functools import cache

from ...caption.seen import ONLY_OF, prompts
from ...config import suggest
from ...errors import UsageError
from ...models.judge import HEADS
from ...records import FIELDS, Attributes
from .traits import Trait

GIVEN = ("gender", "age", "ethnicity")  # labels of the data set's own: every real face may be asked
UNASKED = {"headwear": ("other",)}  # nobody can ask for it in words
FIELDS_ASKED = (*HEADS, *(name for name in FIELDS if name not in HEADS))


@cache
def question(field: str) -> Trait:
    """The question of a field with all of its values as answers. Raises `UsageError` for an unknown field."""
    if field not in FIELDS_ASKED:
        raise UsageError(f"no attribute {field!r}{suggest(field, list(FIELDS_ASKED))}")
    values = HEADS.get(field) or FIELDS[field].values
    asked = tuple(value for value in values if value not in UNASKED.get(field, ()))
    return Trait(
        field, field.replace("_", " "), field, {value: (value,) for value in asked},
        {value: tuple(prompts(field, value)) for value in asked}, ONLY_OF.get(field), field in GIVEN,
    )  # fmt: skip


def attributes(wanted: dict[str, str]) -> Attributes:
    """Values by field as `Attributes`. Raises `UsageError` for a value that the field does not have."""
    for field, value in wanted.items():
        answers = list(question(field).answers)
        if value not in answers:
            raise UsageError(f"{field} cannot be {value!r}: choose from {', '.join(answers)}")
    plain = {f: [v] if f in FIELDS and FIELDS[f].many else v for f, v in wanted.items()}
    return Attributes.from_dict(plain)
