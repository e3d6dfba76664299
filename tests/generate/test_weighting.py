import pytest

from likeness.errors import PromptRefused, UsageError
from likeness.generate.resolve import resolve
from likeness.generate.weighting import parse, plain
from likeness.models.registry import MODELS
from likeness.records import ImageRequest


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a man", [("a man", 1.0)]),
        # A1111
        ("a (smiling:1.3) man", [("a ", 1.0), ("smiling", 1.3), (" man", 1.0)]),
        ("(hat), ((hat)), [hat]", [("hat", 1.1), (", ", 1.0), ("hat", 1.21), (", ", 1.0), ("hat", 0.909091)]),
        ("(a (b:0.5) c:1.2)", [("a ", 1.2), ("b", 0.6), (" c", 1.2)]),
        ("(hat:0)", [("hat", 0.0)]),
        (r"a \(b\) \[c\] \\", [(r"a (b) [c] " + "\\", 1.0)]),
        # compel
        ("red++ hat-- man", [("red", 1.21), (" ", 1.0), ("hat", 0.81), (" man", 1.0)]),
        ("(a hat)1.5, (b)++ (c)-", [("a hat", 1.5), (", ", 1.0), ("b", 1.21), (" ", 1.0), ("c", 0.9)]),
        (r"hat\++", [("hat++", 1.0)]),
        # not emphasis
        ("aged 70+, or 70++, a man--with a hat -- red", [("aged 70+, or 70++, a man--with a hat -- red", 1.0)]),
        ("a ( b", [("a ( b", 1.0)]),
        ("a) b] :1.2)", [("a) b] :1.2)", 1.0)]),
        ("( [ ) ]", [("( ", 1.0), (" ) ", 0.909091)]),
        ("(16):1.2", [("16", 1.1), (":1.2", 1.0)]),
        ("", []),
    ],
)
def test_pieces(text, pieces):
    assert parse(text) == pieces
    assert plain(text) == "".join(piece for piece, _ in pieces)


@pytest.mark.parametrize("text", ["(a:2.1)", "(a:-1)", "(ratio 16:9)", "(a)30", "(((((((((hat)))))))))"])
def test_a_weight_out_of_range_is_an_error_that_says_how_to_write_brackets(text):
    with pytest.raises(UsageError, match=r"outside 0 to 2.*\\\("):
        parse(text)


def test_endless_nesting_is_read_in_no_time():
    assert plain("(" * 5000) == "(" * 5000
    assert plain("[" * 2000 + "a" + "]" * 2000) == "a"
    assert plain("a-" * 2500 + "++").startswith("a-")


@pytest.mark.parametrize(
    "prompt",
    [
        "a girl, (16):1.2 years old", "a (16 year) old girl", "(te)(en)ager", "a [ch]++[ild]", "(1)(6) years old girl",
        r"a te\()en", "a (toddler:0.1)", "child++ with hat", "t()een",
    ],
)  # fmt: skip
def test_marks_do_not_hide_a_minor(prompt):
    with pytest.raises(PromptRefused):
        resolve(ImageRequest(prompt), MODELS["mini"])


def test_marks_alone_are_no_prompt_and_loras_do_not_stand_in_it():
    for prompt, says in (("()", "empty"), ("a man <lora:face:0.8>", "--lora face:0.8")):
        with pytest.raises(UsageError, match=says):
            resolve(ImageRequest(prompt), MODELS["mini"])
    kept = resolve(ImageRequest("a (smiling:1.3) man"), MODELS["mini"])
    assert kept.prompt == "a (smiling:1.3) man"  # the recipe keeps the marks
