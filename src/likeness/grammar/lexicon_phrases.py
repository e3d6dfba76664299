"""What `describe` says in whole phrases, by the verb that they follow. `parse` reads them without the article."""

from __future__ import annotations

# field -> value -> verb -> alternatives. "has" phrases also follow "with", "wears" ones "wearing", "is" ones a comma.
PHRASES: dict[str, dict[str, dict[str, str]]] = {
    "hair_length": {
        "bald": {"is": "bald|completely bald|bald-headed|hairless", "has": "a bald head|a shaved head|a shaven head"},
    },
    "hairline": {
        "thinning": {"has": "thinning hair|a thinning hairline"},
        "widow's peak": {"has": "a widow's peak|a V-shaped hairline"},
    },
    "fringe": {"none": {"has": "no fringe|no bangs|an uncovered forehead"}},
    "facial_hair": {
        "none": {"is": "clean-shaven|clean-shaven|beardless", "has": "no beard|no facial hair|a clean-shaven face"},
        "stubble": {"has": "stubble|a stubble|a five o'clock shadow|light stubble|a 5 o'clock shadow",
                    "is": "unshaven|stubbled"},
        "moustache": {"has": "a moustache|a mustache", "is": "moustached"},
        "goatee": {"has": "a goatee|a French beard|a goatee beard|a chin beard"},
        "full beard": {"has": "a full beard|a beard|a thick beard|a bushy beard", "is": "bearded"},
        "sideburns": {"has": "sideburns|long sideburns|side whiskers"},
    },
    "eye_state": {
        "open": {"has": "open eyes"},
        "looking away": {
            "is": "looking away|looking aside|looking off to one side|gazing away",
            "has": "an averted gaze|averted eyes",
        },
    },
    "brows": {"joined": {"has": "a unibrow|a monobrow"}},
    "mouth": {
        "teeth showing": {"has": "visible teeth|teeth showing|bared teeth", "is": "showing teeth|baring teeth"},
        "closed": {"has": "closed lips"},
        "open": {"has": "parted lips"},
    },
    "expression": {
        "smiling": {"has": "a smile|a happy smile", "is": "smiling"},
        "laughing": {"is": "laughing"},
        "sad": {"is": "frowning sadly"},
        "angry": {"is": "scowling|glaring"},
    },
    "glasses": {
        "none": {"has": "no glasses|no eyeglasses|no spectacles", "wears": "no glasses|no eyewear|no spectacles"},
        "eyeglasses": {"wears": "glasses|eyeglasses|spectacles|a pair of glasses", "is": "bespectacled"},
        "sunglasses": {"wears": "sunglasses|dark glasses|a pair of sunglasses|shades"},
    },
    "headwear": {
        "none": {"is": "bareheaded|bare-headed|hatless", "wears": "no hat|no headwear|nothing on the head"},
        "hat": {"wears": "a hat|a brimmed hat"},
        "cap": {"wears": "a cap|a baseball cap|a peaked cap"},
        "headscarf": {"wears": "a headscarf|a hijab|a head scarf"},
        "turban": {"wears": "a turban"},
        "other": {"wears": "headgear|a head covering|a headdress|a headband"},
    },
    "jewellery": {
        "none": {"wears": "no jewellery|no jewelry"},
        "earrings": {"wears": "earrings|a pair of earrings"},
        "necklace": {"wears": "a necklace|a chain around the neck"},
        "piercing": {"has": "a piercing|a facial piercing", "is": "pierced"},
        "bindi": {"wears": "a bindi", "has": "a bindi|a bindi on the forehead"},
    },
    "makeup": {
        "none": {"wears": "no make-up|no makeup", "has": "no make-up|no makeup", "is": "bare-faced"},
        "visible": {"wears": "make-up|makeup|visible make-up|visible makeup|cosmetics", "is": "made up"},
    },
    "marks": {
        "wrinkles": {"has": "wrinkles|wrinkled skin|lines on the face", "is": "wrinkled"},
        "freckles": {"has": "freckles|freckled skin", "is": "freckled"},
        "mole": {"has": "a mole|a beauty spot"},
        "scar": {"has": "a scar|a facial scar", "is": "scarred"},
        "dimples": {"has": "dimples|dimpled cheeks"},
        "bags under eyes": {"has": "bags under the eyes|under-eye bags|puffy eyes|eye bags"},
        "acne": {"has": "acne|pimples|blemished skin"},
        "birthmark": {"has": "a birthmark|a birth mark"},
        "tattoo": {"has": "a tattoo|a facial tattoo|a tattooed face", "is": "tattooed"},
        "braces": {"has": "braces|dental braces", "wears": "braces|dental braces"},
    },
    "occlusion": {
        "hand on face": {"has": "a hand on the face|a hand over the face|a hand in front of the face"},
        "microphone": {"has": "a microphone in front of the face", "is": "holding a microphone|using a microphone"},
    },
    "pose": {
        "frontal": {"is": "facing the camera|facing forward|seen from the front"},
        "three-quarter": {"is": "in three-quarter view|turned slightly to one side|seen in three-quarter view"},
        "profile": {"is": "in profile|seen from the side|shown in profile"},
    },
}  # fmt: skip

# Absences that can share one "no": "no glasses, hat or beard". The noun alone, for use after "no" or "without".
ABSENT = {
    "glasses": "glasses|eyeglasses|spectacles",
    "headwear": "hat|headwear",
    "facial_hair": "beard|facial hair",
    "makeup": "make-up|makeup",
    "jewellery": "jewellery|jewelry",
    "fringe": "fringe|bangs",
}

# How a paragraph or a sentence opens; {photo} is e.g. "a sharp frontal photo", {who} "a black man aged 30-39".
OPENINGS = (
    "{photo} of {who}",
    "{photo} of {who}",
    "This is {photo} of {who}",
    "{photo} showing {who}",
    "{photo} of the face of {who}",
)
BARE_OPENINGS = ("{who}", "{who}", "{who}", "the face of {who}", "the subject is {who}", "the image shows {who}")
QUALITY_REMARKS = ("The {photo} is {quality}.", "The {photo} looks {quality}.")
EMPTY = {
    "paragraph": "A person.|A portrait of a person.|A photo of a person.|The image shows a person.",
    "sentence": "A person.|A portrait.|A photo of a person.|The face of a person.",
    "tags": "a person|portrait|person|face",
}
SUBJECTS = {"female": "the woman|the subject", "male": "the man|the subject", None: "the person|the subject"}
PRONOUNS = {"female": ("she", "her"), "male": ("he", "his"), None: ("they", "their")}
# verb -> (with he or she, with they)
VERBS = {
    "has": (("has", "have"), ("has", "have"), ("shows", "show")),
    "wears": (("wears", "wear"), ("is wearing", "are wearing")),
    "is": (("is", "are"),),
    "looks": (("looks", "look"), ("appears", "appear"), ("seems", "seem")),
}
