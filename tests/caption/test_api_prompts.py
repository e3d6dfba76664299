"""What is sent: prompts, the picture, the estimate beforehand; and how the questionnaire's answer is read."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from likeness.caption import prompts, questionnaire
from likeness.caption.captioner import make
from likeness.caption.picture import data_url
from likeness.data.decode import BadImage
from likeness.errors import ConfigError, UsageError
from likeness.records import FIELDS, Age, Attributes

API = {"endpoint": "vllm", "model": "m"}


def test_the_paragraph_asks_for_everything_that_a_caption_says():
    asked = prompts.load("paragraph").fill(language="English").user.lower()
    wanted = (
        "age gender ethnicity expression emotion colour length style hairline eyes nose mouth lips chin cheekbones "
        "facial~hair accessories skin~tone make-up distinctive open closed half~closed"
    )
    assert [w for w in wanted.replace("~", "_").split() if w.replace("_", " ") not in asked] == []


def test_every_prompt_loads_and_those_with_a_picture_never_ask_who_it_is():
    assert {"paragraph", "forensic", "short", "fuse", "expand", "translate"} <= set(prompts.names())
    for name, versions in prompts.names().items():
        for version in versions:
            prompt = prompts.load(f"{name}.v{version}")
            assert (prompt.name, prompt.version) == (name, version)
            filled = prompt.fill(language="English", fields="f", words="w", text="t")
            assert filled.places == set()
            if name in ("paragraph", "forensic", "short"):
                assert "never say or guess who somebody is" in filled.system and "never give a name" in filled.system


def test_the_newest_version_counts_unless_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for version in (2, 9, 10):  # by number, not by letters
        (tmp_path / f"p.v{version}.txt").write_text(f"for readers\n# system\nbe {version}\n# user\nsay {{what}}\n")
    monkeypatch.setattr(prompts, "FOLDER", tmp_path)
    assert prompts.load("p").system == "be 10" and prompts.load("p.v2").system == "be 2"
    assert prompts.load("p").fill(what='{"a": {b}}').user == 'say {"a": {b}}'  # what is filled in is not filled again
    with pytest.raises(UsageError, match="what"):
        prompts.load("p").fill(language="English")
    with pytest.raises(UsageError, match="v2, v9, v10"):
        prompts.load("p.v3")
    with pytest.raises(UsageError, match="no prompt 'q'"):
        prompts.load("q")


def test_a_prompt_of_ones_own(tmp_path: Path):
    path = tmp_path / "mine.v3.txt"
    path.write_bytes(b"\xef\xbb\xbf# system\r\nBe brief.\r\n# user\r\nWho? In {language}.\r\n")
    api = make("api", API | {"prompt": str(path)})
    assert api.facts() | {"prompt": "mine", "version": "v3"} == api.facts()
    path.write_text("# system\nonly this\n")
    with pytest.raises(UsageError, match="# user"):
        prompts.load(str(path))
    with pytest.raises(UsageError, match="NAME.vNUMBER.txt"):
        prompts.load("mine.txt")


def test_the_picture_is_sent_small_upright_and_without_its_metadata(tmp_path: Path):
    path = tmp_path / "big.jpg"
    image = Image.new("RGB", (1200, 600), "red")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "home address"  # turned by 90 degrees
    image.save(path, exif=exif)
    kind, _, data = data_url(path, 256).partition(",")
    sent = Image.open(BytesIO(base64.b64decode(data)))
    assert kind == "data:image/jpeg;base64" and sent.format == "JPEG"
    assert sent.size == (128, 256) and not sent.getexif()
    Image.new("RGB", (30, 20)).save(path)
    assert Image.open(BytesIO(base64.b64decode(data_url(path, 256).partition(",")[2]))).size == (30, 20)  # never larger
    path.write_bytes(b"")
    with pytest.raises(BadImage, match="empty"):
        data_url(path)


def test_the_estimate_follows_from_limits_size_and_prices():
    def estimate(faces: int, **settings: object):
        return make("api", API | settings).estimate(faces)

    one, many = estimate(1), estimate(1000)
    assert many.tokens_in == 1000 * one.tokens_in and many.tokens_out == 1000 * one.tokens_out
    assert many.cost is None and any("price_in" in n for n in many.notes) and many.notes
    assert estimate(600, requests_per_minute=30).seconds == pytest.approx(20 * 60)
    per_face = one.tokens_in + one.tokens_out
    assert estimate(600, tokens_per_minute=10 * per_face).seconds == pytest.approx(60 * 60)
    assert estimate(600, requests_per_minute=30, tokens_per_minute=10 * per_face).seconds == pytest.approx(60 * 60)
    assert estimate(600, concurrency=16).seconds == pytest.approx(estimate(600, concurrency=8).seconds / 2)
    assert any("raise concurrency" in n for n in estimate(9, concurrency=1, requests_per_minute=600).notes)
    priced = estimate(1000, price_in=1.0, price_out=4.0)
    assert priced.cost == pytest.approx((many.tokens_in + 4 * many.tokens_out) / 1e6)
    assert estimate(1, max_side=1024).tokens_in > one.tokens_in
    assert estimate(1, attributes=True).tokens_out > one.tokens_out


def test_settings_that_cannot_work_are_refused_before_anything_is_asked():
    for settings in ({"quality": 0}, {"concurrency": 0}, {"temperature": 3}, {"window": 0}, {"max_side": 0}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            make("api", API | settings)
    with pytest.raises(ConfigError, match="asks for no attributes"):
        make("api", API | {"prompt": "short", "attributes": True})
    with pytest.raises(UsageError, match="LIKENESS_MODEL"):
        make("api", {"endpoint": "vllm"})


def test_the_form_asks_for_every_value_of_every_field():
    lines = questionnaire.form().splitlines()
    for name, field in FIELDS.items():
        line = next(line for line in lines if line.startswith(f"- {name}: "))
        assert line.endswith(", ".join(field.values)) and ("list" in line) == field.many


def test_an_answer_in_the_forms_own_words_is_read_to_the_letter():
    for name, field in FIELDS.items():
        for value in field.values:
            said = [value] if field.many else value
            assert questionnaire.read(json.dumps({name: said})) == (Attributes.from_dict({name: said}), []), value


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"Gender": "Woman", "Race": "Caucasian", "Hair Colour": "Blonde"},
         {"gender": "female", "ethnicity": ["White"], "hair_color": "blond"}),
        ({"eyes": {"color": "Blue", "shape": "almond-shaped"}, "hair": {"length": "shoulder-length"}},
         {"eye_color": "blue", "eye_shape": ["almond"], "hair_length": "medium"}),
        ({"facial hair": ["none", "Moustache"], "glasses": True, "makeup": False},
         {"facial_hair": ["moustache"], "glasses": "eyeglasses", "makeup": "none"}),
        ({"nose": "unknown", "chin": "not visible", "lips": None, "marks": [], "headwear": "N/A"}, {}),
        ({"cheekbones": "high", "eyebrows": "bushy", "emotion": "happy", "skin": "olive"},
         {"cheeks": ["high cheekbones"], "brows": ["thick"], "expression": ["smiling"], "skin_tone": "olive"}),
        ({"description": "A man.", "glasses": "no glasses"}, {"glasses": "none"}),
    ],
)  # fmt: skip
def test_spelling_is_forgiven(answer: dict[str, object], expected: dict[str, object]):
    assert questionnaire.read(json.dumps(answer)) == (Attributes.from_dict(expected), [])


@pytest.mark.parametrize(
    ("said", "age"),
    [
        (34, Age(34)), ("30-39", Age(30, 39)), ("30 – 39 years", Age(30, 39)), ("20 to 29", Age(20, 29)),
        ("70+", Age(70, 120)), ([30, 39], Age(30, 39)), ({"low": 30, "high": 39}, Age(30, 39)),
        ("about 30", Age(30)), ("in her thirties", Age(30, 39)),
    ],
)  # fmt: skip
def test_ages_in_their_usual_forms(said: object, age: Age):
    assert questionnaire.read(json.dumps({"age": said}))[0].age == age


def test_what_is_no_value_is_left_out_and_told():
    answer = {"age": 250, "gender": "tall", "eye_shape": ["round", "banana"], "mood": "x", "nose": {"size": "big"}}
    found, problems = questionnaire.read(
        "Here you are:\n```json\n" + json.dumps(answer) + "\n``` I hope this helps {x}."
    )
    assert found.said() == {"eye_shape": ("round",), "nose": ("big",)} or found.said() == {"eye_shape": ("round",)}
    told = "; ".join(problems)
    assert all(word in told for word in ("250", "tall", "banana", "mood"))


@pytest.mark.parametrize("text", ["", "I cannot describe people.", "{broken", "[1, 2]", "{}{", '{"age": '])
def test_an_answer_without_a_form_says_nothing(text: str):
    found, problems = questionnaire.read(text)
    assert found == Attributes() and (problems or text.startswith("{}"))
