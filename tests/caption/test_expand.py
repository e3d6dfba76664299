"""Expanding keeps what was said; the grammar's way offline, a model's answers checked against a real local server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_local import writer

from likeness import grammar
from likeness.caption.endpoint import Endpoint
from likeness.caption.expand import expand, keeps, translate
from likeness.errors import UsageError

SHORT = (
    "Indian male, 30s", "an elderly Japanese woman with glasses", "bald man", "Native American woman, 45", "smiling",
    "18 year old woman", "old man with a long white beard", "a Nigerian lady in hijab, red lipstick", "a wizard",
    "young asian guy, freckles", "woman with a moustache, sunglasses", "person with a scar over the left eyebrow",
)  # fmt: skip


@pytest.mark.parametrize("style", ["paragraph", "sentence", "tags"])
def test_what_was_said_stays_and_more_is_said(style: str) -> None:
    for seed, text in enumerate(SHORT):
        made = expand(text, style=style, seed=seed)
        assert keeps(made.text, grammar.parse(text)), made.text
        assert len(made.added.said()) >= 4, made.text
        assert not set(made.added.said()) & set(made.said.said())
        assert made.said == grammar.parse(text).attributes


def test_any_description_is_kept(root: Path) -> None:
    """Sentences that people and models wrote, of the grammar's own tests."""
    lines = (root / "tests" / "grammar" / "sentences.jsonl").read_text("utf-8").splitlines()
    checked = 0
    for i, line in enumerate(lines[::15]):
        text = json.loads(line)["text"]
        parsed = grammar.parse(text)
        if not (parsed.attributes.age and parsed.attributes.age.low < 18):
            assert keeps(expand(text, seed=i).text, parsed), text
            checked += 1
    assert checked > 5


def test_the_same_seed_gives_the_same_text_and_another_another() -> None:
    assert expand("a woman", seed=3) == expand("a woman", seed=3)
    assert len({expand("a woman", seed=seed).text for seed in range(6)}) > 4


def test_what_is_added_goes_with_what_was_said() -> None:
    for seed in range(8):
        woman = expand("a woman", seed=seed).added
        assert not woman.facial_hair
        bald = expand("a bald man", seed=seed).added
        assert bald.hair_color is None and bald.hair_texture is None
        blond = expand("a blond man", seed=seed).added
        assert blond.hair_length != "bald" and blond.headwear not in ("turban", "headscarf")
        assert expand("a woman in sunglasses", seed=seed).added.eye_color is None
        # grey and white hair are those of the labelled faces of that age: none among hundreds in their twenties
        assert expand("a woman in her twenties", seed=seed).added.hair_color not in ("gray", "white")


def test_words_that_the_grammar_does_not_know_are_kept() -> None:
    made = expand("man with a purple mohawk, 35")
    assert "purple mohawk" in made.text.lower()


def test_minors_come_back_as_they_came() -> None:
    with writer(lambda messages: "A woman.") as (where, asked):
        for text in ("a girl of 12", "teenage boy"):
            made = expand(text, Endpoint(where["endpoint"], "m"))
            assert made.text == text and not made.added.said() and "under 18" in made.notes[0]
    assert not asked, "nothing of it is sent anywhere"


def test_nothing_to_expand_is_said() -> None:
    with pytest.raises(UsageError, match="few words"):
        expand("  ")


GOOD = (
    "An Indian man in his thirties with short black hair, brown eyes and a straight nose. He has a closed mouth, full "
    "lips and a neutral expression."
)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (GOOD, True),
        (GOOD.replace("in his thirties", "aged 34"), True),
        (GOOD.replace("Indian", "White"), False),
        (GOOD.replace("thirties", "sixties"), False),
        (GOOD.replace(" in his thirties", ""), False),
        ("I'm sorry, but I can't help with that request.", False),
    ],
)
def test_a_models_answer_counts_if_it_keeps_what_was_said(answer: str, kept: bool) -> None:
    with writer(lambda messages: answer) as (where, asked):
        made = expand("Indian male, 30s", Endpoint(where["endpoint"], "m"))
    assert len(asked) == 1 and "Indian male, 30s" in asked[0][-1]["content"]
    assert (made.text == answer) == kept
    assert keeps(made.text, grammar.parse("Indian male, 30s"))
    assert ("the grammar wrote instead" in made.notes[0]) != kept
    if kept:
        assert made.added.hair_color == "black"


def test_without_the_server_the_grammar_writes() -> None:
    made = expand("Indian male, 30s", Endpoint("http://127.0.0.1:9/v1", "m", retries=0, timeout=2))
    assert "the grammar wrote instead" in made.notes[0] and keeps(made.text, grammar.parse("Indian male, 30s"))


def test_translating_needs_a_model_and_its_answer_is_checked() -> None:
    with pytest.raises(UsageError, match="LIKENESS_ENDPOINT.*LIKENESS_MODEL"):
        translate("ein alter Mann mit Brille")
    with writer(lambda messages: "an old man with glasses") as (where, asked):
        assert translate("ein alter Mann mit Brille", Endpoint(where["endpoint"], "m")) == "an old man with glasses"
    assert asked[0][-1]["content"] == "ein alter Mann mit Brille"
    same = "ein alter Mann mit einer Brille und einem langen Bart"
    with writer(lambda messages: same) as (where, _), pytest.raises(UsageError, match="did not translate"):
        translate(same, Endpoint(where["endpoint"], "m"))
