"""The 40 attributes of CelebA -> `Attributes`, and its whitespace tables.

"Attractive" is a judgement, "Young" no age, "Wearing_Necktie" no face: they stay unsaid. -1 is a statement only where
the opposite is one of our values. Two hair colours at once are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...records import Attributes
from .base import Problems
from .tables import open_text, rows

# attribute -> our field and value when it is there
YES: dict[str, tuple[str, str]] = {
    "5_o_Clock_Shadow": ("facial_hair", "stubble"),
    "Arched_Eyebrows": ("brows", "arched"),
    "Bags_Under_Eyes": ("marks", "bags under eyes"),
    "Bald": ("hair_length", "bald"),
    "Bangs": ("fringe", "full"),
    "Big_Lips": ("lips", "full"),
    "Big_Nose": ("nose", "big"),
    "Black_Hair": ("hair_color", "black"),
    "Blond_Hair": ("hair_color", "blond"),
    "Blurry": ("quality", "bad"),
    "Brown_Hair": ("hair_color", "brown"),
    "Bushy_Eyebrows": ("brows", "thick"),
    "Chubby": ("cheeks", "full"),
    "Double_Chin": ("chin", "double"),
    "Eyeglasses": ("glasses", "eyeglasses"),
    "Goatee": ("facial_hair", "goatee"),
    "Gray_Hair": ("hair_color", "gray"),
    "Heavy_Makeup": ("makeup", "visible"),
    "High_Cheekbones": ("cheeks", "high cheekbones"),
    "Male": ("gender", "male"),
    "Mouth_Slightly_Open": ("mouth", "open"),
    "Mustache": ("facial_hair", "moustache"),
    "Narrow_Eyes": ("eye_shape", "narrow"),
    "Oval_Face": ("face_shape", "oval"),
    "Pale_Skin": ("skin_tone", "pale"),
    "Pointy_Nose": ("nose", "pointed"),
    "Receding_Hairline": ("hairline", "receding"),
    "Rosy_Cheeks": ("cheeks", "rosy"),
    "Sideburns": ("facial_hair", "sideburns"),
    "Smiling": ("expression", "smiling"),
    "Straight_Hair": ("hair_texture", "straight"),
    "Wavy_Hair": ("hair_texture", "wavy"),
    "Wearing_Earrings": ("jewellery", "earrings"),
    "Wearing_Hat": ("headwear", "hat"),
    "Wearing_Lipstick": ("makeup", "visible"),
    "Wearing_Necklace": ("jewellery", "necklace"),
}  # fmt: skip
# attribute -> our field and value when it is not there
NO: dict[str, tuple[str, str]] = {
    "Eyeglasses": ("glasses", "none"),
    "Male": ("gender", "female"),
    "Mouth_Slightly_Open": ("mouth", "closed"),
    "Wearing_Hat": ("headwear", "none"),
}
UNSAID = ("Attractive", "No_Beard", "Wearing_Necktie", "Young")  # No_Beard: see `_beard`
NAMES = frozenset((*YES, *UNSAID))
MANY = ("brows", "marks", "lips", "nose", "cheeks", "chin", "eye_shape", "expression", "jewellery", "facial_hair")


def attributes_of(row: Mapping[str, int]) -> Attributes:
    """The attributes of one picture: 1 is there, -1 or 0 is not; a missing one says nothing."""
    said: dict[str, list[str]] = {}
    for name, (field, value) in YES.items():
        if row.get(name) == 1:
            said.setdefault(field, []).append(value)
    for name, (field, value) in NO.items():
        if row.get(name, 1) < 1:
            said.setdefault(field, []).append(value)
    _beard(row, said)
    values: dict[str, Any] = {f: tuple(dict.fromkeys(v)) if f in MANY else v[0] for f, v in said.items()}
    for field in ("hair_color", "hair_texture"):
        if len(said.get(field, ())) > 1 or values.get("hair_length") == "bald":
            values.pop(field, None)
    return Attributes(**values)


def _beard(row: Mapping[str, int], said: dict[str, list[str]]) -> None:
    there = [v for v in said.get("facial_hair", ()) if v != "sideburns"]
    if row.get("No_Beard", 1) < 1 and not there:
        said.setdefault("facial_hair", []).append("full beard")
    elif row.get("No_Beard") == 1 and row.get("Male") == 1 and "facial_hair" not in said:
        said["facial_hair"] = ["none"]  # nobody remarks that a woman has no beard


def read_table(path: Path, problems: Problems, header: bool = True) -> Iterator[tuple[str, str, dict[str, str]]]:
    """`(where, picture, row)` of a table in the original form (a count, names, rows) or in Kaggle's csv form."""
    if path.suffix.lower() == ".csv":
        for where, row in rows(path, problems):
            name = next(iter(row))
            yield where, row[name], {_original(k): v for k, v in row.items() if k != name}
        return
    with open_text(path) as file:
        names: list[str] = []
        for number, line in enumerate(file, 1):
            words = line.split()
            if not words or number == 1 and header and len(words) == 1:
                continue
            if header and not names:
                names = words
            elif header and len(words) != len(names) + 1:
                problems.add(f"{path.name}, line {number}", f"torn: {len(words) - 1} values of {len(names)}")
            else:
                keys = names or [str(i) for i in range(len(words) - 1)]
                yield f"{path.name}, line {number}", words[0], dict(zip(keys, words[1:], strict=True))


_LOWER = {n.lower(): n for n in NAMES}


def _original(name: str) -> str:
    return _LOWER.get(name, name)


def read_attributes(path: Path, problems: Problems) -> Iterator[tuple[str, str, Attributes]]:
    """`(where, picture, attributes)`; rows with values other than -1, 0 and 1 are problems."""
    for where, name, row in read_table(path, problems):
        try:
            values = {k: int(v) for k, v in row.items() if k in NAMES}
        except ValueError as error:
            problems.add(where, str(error))
            continue
        if not values or set(values.values()) - {-1, 0, 1}:
            problems.add(where, "not a row of CelebA's attributes" if not values else "values other than -1 and 1")
        else:
            yield where, name, attributes_of(values)


def read_splits(path: Path | None, problems: Problems) -> dict[str, str]:
    """Picture -> train, val or test, from `list_eval_partition`; empty without it."""
    if path is None:
        return {}
    names = {"0": "train", "1": "val", "2": "test"}
    found = read_table(path, problems, header=False)
    return {name: names[v] for _, name, row in found if (v := next(iter(row.values()), "")) in names}
