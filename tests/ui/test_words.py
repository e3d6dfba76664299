"""What the page decides without a service: questions, changes, drafts, masks, the facts of a face."""

import io
import json

import pytest
from PIL import Image, ImageDraw

from likeness.records import FIELDS, Attributes
from likeness.ui import mask, questions
from likeness.ui.changes import CHANGES, changed
from likeness.ui.draft import Draft
from likeness.ui.face import Face, differences, of_entry, of_picture
from likeness.ui.look import plain, quote

ROWS = [(f.group, {"name": name, "values": f.values, "many": f.many}) for name, f in FIELDS.items()]
SCHEMA = {"groups": [{"name": g, "fields": [row for group, row in ROWS if group == g]} for g in dict(ROWS)]}


def test_every_field_is_asked_once_in_words():
    asked = [row for rows in questions.sections(SCHEMA).values() for row in rows]
    assert sorted(row.name for row in asked) == sorted([*FIELDS, "age"])
    assert not [row.name for row in asked if row.name not in questions.QUESTIONS]
    assert [row.name for row in asked if row.mandatory] == ["age", "gender"]


def test_a_group_that_is_new_to_the_page_is_asked_too():
    schema = {"groups": [{"name": "ears", "title": "Ears", "fields": [{"name": "ear_size", "values": ["big"]}]}]}
    assert questions.sections(schema)["Ears"][0].asked == "Ear size?"


def test_none_and_something_do_not_stand_together():
    assert questions.single_none([], ["earrings", "none"]) == ["none"]
    assert questions.single_none(["none"], ["none", "earrings"]) == ["earrings"]
    assert questions.single_none([], ["earrings", "necklace"]) == ["earrings", "necklace"]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(
    "said", [{}, {"age": "70+", "hair_color": "blond", "hair_length": "bald", "marks": ["wrinkles"]}]
)
def test_every_change_gives_attributes_that_a_face_can_have(name, said):
    after = changed(said, [name])
    assert Attributes.from_dict(after).said() and after != said or name in {"Older", "Lighter hair"}


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("Older", "30-39", "50-59"), ("Older", "45", "65"), ("Older", "70+", "90+"),
        ("Younger", "60-69", "40-49"), ("Younger", "20-29", "18"), ("Younger", "70+", "50-59"),
    ],
)  # fmt: skip
def test_years_are_added_and_nobody_becomes_a_child(name, before, after):
    assert changed({"age": before}, [name])["age"] == after


def test_own_words_weigh_most():
    assert changed({"glasses": "none"}, ["Add glasses"], {"glasses": "sunglasses"}) == {"glasses": "sunglasses"}


def test_a_description_follows_until_it_is_edited_and_is_never_lost():
    draft = Draft().follow("A woman.").typed("A woman.").follow("A tall woman.")
    assert draft.text == "A tall woman." and not draft.edited
    draft = draft.typed("My aunt.").follow("An old woman.")
    assert draft.text == "My aunt." and draft.offer == "An old woman."
    assert draft.keep().offer == "" and draft.keep().text == "My aunt."
    assert draft.keep().follow("A young woman.").offer == "A young woman."  # a new answer is asked about anew
    assert draft.take().text == "An old woman." and not draft.take().edited
    assert draft.typed(" ").follow("A man.").text == "A man."  # an emptied field is the form's again


def test_masks_are_white_where_it_is_drawn_anew():
    for place in mask.PLACES.values():
        made = mask.from_oval(place, (128, 160))
        assert made.size == (128, 160) and made.mode == "L"
        assert made.getpixel((round(place.x * 128), min(159, round(place.y * 160)))) > 200
        assert made.getpixel((0, 159)) == 0
    both = mask.united([mask.from_oval(mask.PLACES[name], (64, 64)) for name in ("Eyes", "Mouth")])
    assert both.getpixel((32, 27)) > 200 < both.getpixel((32, 47))
    assert Image.open(io.BytesIO(mask.png(both))).size == (64, 64)


def test_strokes_become_a_mask_of_the_pictures_size():
    canvas = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    empty, painted = io.BytesIO(), io.BytesIO()
    canvas.save(empty, "PNG")
    ImageDraw.Draw(canvas).rectangle((150, 0, 299, 299), fill=(40, 100, 200, 140))
    canvas.save(painted, "PNG")
    assert mask.from_strokes(empty.getvalue(), (128, 128)) is None
    made = mask.from_strokes(painted.getvalue(), (128, 128))
    assert made is not None and made.getpixel((100, 64)) == 255 and made.getpixel((20, 64)) == 0
    assert mask.shown(painted.getvalue(), made).size == (300, 300)


def test_a_face_can_be_drawn_again_and_told_from_another():
    body = {"prompt": "A man.", "count": 4, "seed": 3, "loras": [{"name": "glasses", "weight": 0.5}]}
    recipe = {"request": {"model": "mini", "steps": 30, "seed": 4, "image": None, "strength": 0.8}}
    face = of_picture({"id": "e1", "url": "http://h/v1/images/abc.png", "seed": 4, "recipe": recipe}, body)
    assert face.digest == "abc" and face.again()["seed"] == 4 and face.again()["count"] == 1
    assert face.again()["loras"] == [{"name": "glasses", "weight": 0.5}] and face.again()["steps"] == 30
    assert face.facts()["LoRA"] == "glasses at 0.5" and "How freely" not in face.facts()
    assert json.loads(face.recipe_json()) == recipe
    entry = {"id": "e2", "digest": "d", "seed": 4, "prompt": "A man.", "model": "mini",
             "request": {"steps": 20, "loras": [["glasses", 0.5]]}}  # fmt: skip
    other = of_entry(entry)
    assert differences(face, other) == [("Steps", "30", "20")]
    assert other.again()["loras"] == face.again()["loras"] and json.loads(other.recipe_json())["seed"] == 4
    assert Face("", "d", 1).key == "d"


def test_somebodys_words_are_shown_as_they_are():
    assert "<img" not in quote("<img src=x>") and "&lt;img" in quote("<img src=x>")
    assert plain("![a](b) :red[c] $x$ *d*") == r"\!\[a\]\(b\) \:red\[c\] \$x\$ \*d\*"
