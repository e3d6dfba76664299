"""Captions as models write them, cleaned and judged."""

from __future__ import annotations

import pytest

from likeness import grammar
from likeness.caption.captioner import REASONS
from likeness.caption.quality import Checks, clean, problem, sentences
from likeness.errors import ConfigError
from likeness.records import Age, Attributes

# What a model answers -> what is left of it. In the manner of LLaVA-1.5, Llama 4 and GPT.
CLEANED = {
    # frames come off
    "The image shows a woman with long brown hair.": "A woman with long brown hair.",
    "The image features a close-up portrait of a man's face with a full beard.": "A man's face with a full beard.",
    "This photograph depicts an elderly Black man smiling.": "An elderly Black man smiling.",
    "In this image, we can see a young woman with curly hair.": "A young woman with curly hair.",
    "In the photo, there is a man with blue eyes.": "A man with blue eyes.",
    "This is a close-up photo of a middle-aged woman with freckles.": "A middle-aged woman with freckles.",
    "A black-and-white portrait of an old man with deep wrinkles.": "An old man with deep wrinkles.",
    "The photo captures her smiling broadly.": "She is smiling broadly.",
    "The image shows that he is bald.": "He is bald.",
    "The picture you provided shows a man in his 30s with stubble.": "A man in his 30s with stubble.",
    "The man in the image has short black hair.": "The man has short black hair.",
    "His eyes, as seen in the photo, are brown.": "His eyes are brown.",
    "Based on the image, she has a round face.": "She has a round face.",
    "The individual depicted in this photograph is a woman with hazel eyes.":
        "The individual is a woman with hazel eyes.",
    # sentences about the photograph go
    "A man with a beard. The photo is taken in soft light.": "A man with a beard.",
    "She has green eyes. The background is blurred.": "She has green eyes.",
    "She has green eyes. The blurred background suggests an outdoor setting.": "She has green eyes.",
    "He has thin lips. The lighting is soft and even, creating a calm mood.": "He has thin lips.",
    "He is bald. The camera angle is straight on.": "He is bald.",
    "He is bald. The overall mood of the image is serene.": "He is bald.",
    "He is bald. The image is in black and white. It is a professional headshot.": "He is bald.",
    "She wears earrings. There is no text or watermark in the image.": "She wears earrings.",
    "She wears earrings. Her eye color cannot be determined from the image.": "She wears earrings.",
    "A woman with dark hair, set against a plain white background.": "A woman with dark hair.",
    "He has a square jaw, with a blurred green background.": "He has a square jaw.",
    "Her brown eyes look at the camera, and the background is out of focus.": "Her brown eyes look at the camera.",
    "He is bald. The image is a close-up of his face, which emphasizes his features.": "He is bald.",
    "The image is a close-up of a young woman's face.": "A young woman's face.",
    "He is bald. The man's face is the main focus of the image.": "He is bald.",
    "He is bald. The overall tone of the photo is professional and polished.": "He is bald.",
    # what speaks of the face stays
    "The lighting in the photo highlights her cheekbones and gives her skin a glow.":
        "The lighting highlights her cheekbones and gives her skin a glow.",
    "The soft lighting accentuates her high cheekbones.": "The soft lighting accentuates her high cheekbones.",
    "The frame of her glasses is black.": "The frame of her glasses is black.",
    "The light brown hair falls to her shoulders.": "The light brown hair falls to her shoulders.",
    "Her skin is fair, with a light scattering of freckles.": "Her skin is fair, with a light scattering of freckles.",
    "He is looking directly at the camera with a neutral expression.":
        "He is looking directly at the camera with a neutral expression.",
    "Woman, blond hair, blue eyes, smiling": "Woman, blond hair, blue eyes, smiling",
    # wrapping
    "Sure! Here is a description: A woman with red hair.": "A woman with red hair.",
    "Certainly! Here's a detailed description of the person in the photo:\n\nThe man has a goatee.":
        "The man has a goatee.",
    "Here is the caption: “A man with a thick moustache.”": "A man with a thick moustache.",
    '"A young man with wavy hair and dimples."': "A young man with wavy hair and dimples.",
    "ASSISTANT: A woman with olive skin.</s>": "A woman with olive skin.",
    "He has full lips. Let me know if you would like more details!": "He has full lips.",
    "He has full lips. I hope this description helps.": "He has full lips.",
    # markdown
    "**Hair:** long and black\n**Eyes:** brown, almond-shaped\n**Skin:** fair":
        "Hair: long and black. Eyes: brown, almond-shaped. Skin: fair.",
    "### Description\n\n- *Age:* about 30.\n- She has **blue** eyes.": "Age: about 30. She has blue eyes.",
    "1. He has gray hair.\n2. He has a hooked nose.": "He has gray hair. He has a hooked nose.",
    "**The Face**\n\n* **Age:** About 30\n* **Hair:** Long and wavy\n\nShe is smiling.":
        "Age: About 30. Hair: Long and wavy. She is smiling.",
    # repetition
    "She has long brown hair. Her eyes are blue. She has long brown hair.":
        "She has long brown hair. Her eyes are blue.",
    "He has short dark hair. The man has short, dark hair and a beard.": "The man has short, dark hair and a beard.",
    "She has long hair, long hair, and long hair.": "She has long hair.",
    "He has dark brown eyes. His eyes are brown and his beard is dark.":
        "He has dark brown eyes. His eyes are brown and his beard is dark.",
    "His left eye is brown. His right eye is green.": "His left eye is brown. His right eye is green.",
    # the token limit
    "The woman has long hair and full lips. Her nose is straight and her": "The woman has long hair and full lips.",
    "The woman has long brown hair, full lips and is wearing a": "The woman has long brown hair, full lips.",
    "He has a wide nose. He wears glasses. The man's chin is": "He has a wide nose. He wears glasses.",
    # asides before a description
    "I'm sorry, but I can't identify people. However, I can describe what I see: The man has a gray beard.":
        "The man has a gray beard.",
    "I cannot say who this is. She has a round face and dark hair.": "She has a round face and dark hair.",
}  # fmt: skip

REFUSED = (
    "I'm sorry, but I can't help with that request.",
    "I’m sorry, I can’t assist with identifying people in images.",
    "As an AI language model, I do not have the ability to look at pictures of people.",
    "I cannot identify the person in this photo or make guesses about them.",
    "I'm unable to provide a description of real people based on their appearance.",
    "I apologize, but this would go against my guidelines for describing people.",
    "It is not appropriate to guess the ethnicity or the age of a person from their face.",
    "Please upload an image so that I can describe the face for you.",
)
FOREIGN = (
    "Eine Frau mit langen braunen Haaren und blauen Augen, die freundlich in die Kamera lächelt.",
    "Une femme aux longs cheveux bruns et aux yeux bleus, avec un sourire.",
    "Una mujer con el cabello largo y ojos azules que sonríe.",
    "Um homem com barba e olhos castanhos, com uma expressão neutra.",
    "Женщина с длинными каштановыми волосами и голубыми глазами улыбается в камеру.",
    "这张照片显示一位年轻女子，她有长长的黑发和棕色的眼睛，面带微笑。",
    "एक युवा महिला जिसके लंबे काले बाल हैं और वह मुस्कुरा रही है।",
    "Uzun kahverengi saçlı ve mavi gözlü bir kadın, gülümsüyor.",
    "The man has a beard. Er trägt eine Brille und hat dunkle Haare mit einem Seitenscheitel.",
    "Seorang wanita dengan rambut panjang dan mata cokelat yang tersenyum.",
)
NAMED = {
    "This is Barack Obama, a man with short gray hair and brown eyes.": "Obama",
    "The man resembles Tom Cruise, with brown hair and a straight nose.": "Tom",
    "A woman who looks like Madonna with blond hair and red lips.": "Madonna",
    "Mr. Smith has a gray beard and blue eyes and wears glasses.": "Smith",
    "A young man named Kofi with short hair and a wide smile.": "Kofi",
    "The portrait of Emma Stone shows a woman with red hair and green eyes.": "Emma Stone",
    "Brad Pitt smiles at the camera with his blond hair tied back.": "Brad Pitt",
    "Sarah has long brown hair, blue eyes and a warm smile today.": "Sarah",
    "She has the smile of Penélope Cruz and long dark brown hair.": "Penélope Cruz",
    "President Lincoln has a dark beard, hollow cheeks and deep-set eyes.": "Lincoln",
    "An old man with white hair. Donald J. Trump wears a dark suit.": "Donald J. Trump",
    "Zendaya Coleman has curly brown hair and a bright smile on her face.": "Zendaya Coleman",
}
USABLE = (
    "A Middle Eastern man in his 30s with a full beard and brown eyes.",
    "An East Asian woman with straight black hair and a round face.",
    "She may be of Latin American or African American descent, with dark skin.",
    "The woman is of Sri Lankan or South Indian origin, with dark brown eyes.",
    "A Puerto Rican man with a goatee wearing a New York Yankees cap.",
    "A man with an Eastern European appearance wearing Ray-Ban sunglasses.",
    "The Caucasian man has Fitzpatrick Type II skin and light brown hair.",
    "His Adam's apple is prominent, and he has a Roman nose and thin lips.",
    "Despite Caucasian features, her hair is coily and her eyes are dark brown.",
    "Woman, 30s, East Asian, long black hair, brown eyes, smiling, no glasses",
    "Hair Color: Brown. Eye Color: Blue. Face Shape: Oval. Skin Tone: Fair.",
    "A Young Woman With Flawless Porcelain Skin And Long Auburn Waves Of Hair",
    "A Native American elder with deep wrinkles, long gray hair and a headband.",
    "Overall, the person looks calm; the mouth is closed and the eyes are open.",
)


@pytest.mark.parametrize("raw", CLEANED)
def test_a_caption_is_left_with_the_face(raw):
    assert clean(raw) == CLEANED[raw]


@pytest.mark.parametrize("raw", [*CLEANED, *CLEANED.values(), *REFUSED, *FOREIGN, *NAMED, *USABLE])
def test_cleaning_twice_is_cleaning_once(raw):
    once = clean(raw)
    assert clean(once) == once


def test_usable_captions_are_left_as_they_are():
    assert [t for t in USABLE if clean(t) != t] == []


def test_our_own_captions_are_clean_and_usable():
    """The grammar's descriptions say nothing of the photograph but its pose: nothing of the face may be lost."""
    person = Attributes(
        age=Age(30, 39), gender="female", ethnicity=("East Asian",), skin_tone="light", face_shape="oval",
        hair_color="black", hair_length="long", hair_texture="wavy", eye_color="brown", brows=("arched",),
        nose=("small",), lips=("full",), expression=("smiling",), mouth="teeth showing", glasses="eyeglasses",
        jewellery=("earrings",), marks=("freckles", "mole"),
    )  # fmt: skip
    for seed in range(40):
        text = grammar.describe(person, "paragraph", seed)
        assert problem(text) is None, text
        assert grammar.parse(clean(text)).attributes == grammar.parse(text).attributes, text


def test_a_token_limit_at_any_letter_leaves_whole_sentences():
    whole = "A man with a square jaw and dark skin. His hair is short and coily. He wears round glasses. He smiles."
    ends = {
        "A man with a square jaw and dark skin.",
        "His hair is short and coily.",
        "He wears round glasses.",
        "He smiles.",
    }
    for length in range(40, len(whole)):
        assert set(sentences(clean(whole[:length]))) <= ends, whole[:length]


def test_a_loop_is_said_once():
    line = "She has long brown hair and blue eyes. "
    assert clean(line * 60) == line.strip()
    assert len(clean("a beard, " * 3000)) < 4000, "no text is longer than what is read of it"


@pytest.mark.parametrize("text", REFUSED)
def test_refusals_are_seen_and_stay_seen_when_cleaned(text):
    assert problem(text)[0] == "refused"
    assert problem(clean(text), Checks(min_words=0))[0] in ("refused", "empty")


@pytest.mark.parametrize("text", FOREIGN)
def test_other_languages_are_seen(text):
    assert problem(text)[0] == "language"
    assert problem(text, Checks(language="any", names=False, min_words=0)) is None


@pytest.mark.parametrize("text", NAMED)
def test_names_of_people_are_seen(text):
    reason, detail = problem(text)
    assert reason == "names" and NAMED[text] in detail
    assert problem(text, Checks(names=False)) is None


@pytest.mark.parametrize("text", USABLE)
def test_what_a_description_may_say_passes(text):
    assert problem(text) is None


def test_reasons_are_those_of_the_runner():
    found = [
        problem(t) for t in ("", " .!? ", "A man.", '{"age": 30, "gender": "male"}', "hair eyes " * 50, REFUSED[0])
    ]
    assert [f[0] for f in found] == ["empty", "empty", "too short", "invalid", "invalid", "refused"]
    assert {f[0] for f in found} <= set(REASONS)


def test_a_short_text_may_be_asked_for():
    assert problem("A bald man.") == ("too short", "3 words, at least 8 are asked for")
    assert problem("A bald man.", Checks(min_words=3)) is None


@pytest.mark.parametrize("wrong", [{"language": "german"}, {"min_words": -1}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        Checks(**wrong)


@pytest.mark.parametrize(
    "text", ["(" * 5000, "a, " * 4000, "The " * 3000, "in the " * 2000 + "image", "\x00\u202e" * 999, "Aa " * 3000]
)
def test_hostile_text_is_read_in_time_that_grows_no_faster_than_it(text):
    """Nested repetition in a pattern would take minutes here; the suite's own patience is the limit."""
    clean(text), problem(text)
