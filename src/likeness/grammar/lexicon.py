"""The words that `describe` writes, by the noun that they stand with. `parse` reads them too.

Alternatives are separated by `|`. A word means something only beside its noun: "fair" is blond hair but a fair skin.
"""

from __future__ import annotations

Words = dict[str, dict[str, str]]  # field -> value -> alternatives

ETHNICITY_WORDS = {
    "White": "white|White|Caucasian|European",
    "Black": "black|Black|African",
    "Latino": "Hispanic|Latin American|Latinx",
    "East Asian": "East Asian",
    "Southeast Asian": "Southeast Asian|South-East Asian",
    "Indian": "Indian|South Asian",
    "Middle Eastern": "Middle Eastern|Arab|Middle-Eastern",
    "Asian": "Asian",
    "Native American": "Native American|Indigenous American",
    "Pacific Islander": "Pacific Islander|Polynesian",
}
LATINO_BY_GENDER = {"female": "Latina|Hispanic|Latin American", "male": "Latino|Hispanic|Latin American"}


# noun -> its adjectives
ADJECTIVES: dict[str, Words] = {
    "hair": {
        "hair_length": {
            "very short": "very short|closely cropped|close-cropped|buzz-cut",
            "short": "short|short-cut",
            "medium": "medium-length|shoulder-length|mid-length",
            "long": "long|flowing",
        },
        "hair_texture": {
            "straight": "straight|sleek|smooth",
            "wavy": "wavy|gently waved",
            "curly": "curly|curled",
            "coily": "coily|kinky|afro-textured|tightly coiled",
        },
        "hair_color": {
            "black": "black|jet-black|raven",
            "dark brown": "dark brown|dark-brown|deep brown",
            "brown": "brown|chestnut|brunette",
            "light brown": "light brown|light-brown|sandy brown",
            "blond": "blond|blonde|fair|golden|flaxen",
            "red": "red|ginger|auburn|copper",
            "gray": "gray|grey|silver|graying|greying",
            "white": "white|snow-white",
            "dyed": "dyed|brightly dyed|colored|coloured",
        },
        "hairline": {"thinning": "thinning|sparse"},
    },
    "hairline": {"hairline": {"receding": "receding", "high": "high", "low": "low"}},
    "fringe": {"fringe": {"full": "full|straight|blunt", "side-swept": "side-swept|side-parted|side"}},
    "face": {
        "face_shape": {
            "oval": "oval|oval-shaped|egg-shaped",
            "round": "round|rounded|circular",
            "square": "square|square-shaped|boxy",
            "heart": "heart-shaped",
            "long": "long|oblong|elongated",
            "diamond": "diamond-shaped",
            "triangular": "triangular|triangle-shaped",
        }
    },
    "skin": {
        "skin_tone": {
            "pale": "pale|pallid|very pale",
            "fair": "fair",
            "light": "light|light-colored|light-coloured",
            "medium": "medium|mid-toned",
            "olive": "olive|olive-colored",
            "tan": "tan|tanned|sun-tanned",
            "brown": "brown",
            "dark": "dark|deep|ebony",
        }
    },
    "cheekbones": {"cheeks": {"high cheekbones": "high|prominent|pronounced"}},
    "cheeks": {
        "cheeks": {
            "full": "full|plump|chubby",
            "hollow": "hollow|sunken|gaunt",
            "rosy": "rosy|flushed|ruddy|red",
        }
    },
    "eyes": {
        "eye_shape": {
            "almond": "almond-shaped|almond",
            "round": "round|rounded",
            "narrow": "narrow|slanted",
            "big": "big|large",
            "small": "small|little",
            "deep-set": "deep-set|sunken",
            "hooded": "hooded|heavy-lidded",
            "wide-set": "wide-set|widely spaced",
            "close-set": "close-set|closely spaced",
            "bulging": "bulging|protruding",
        },
        "eye_state": {
            "open": "open|fully open|wide-open",
            "half-closed": "half-closed|squinting|half-open",
            "closed": "closed|shut",
        },
        "eye_color": {
            "brown": "brown|dark brown|chocolate-brown",
            "black": "black|jet-black",
            "blue": "blue|light blue|sky-blue",
            "green": "green|emerald",
            "hazel": "hazel",
            "gray": "gray|grey",
            "amber": "amber|honey-colored|honey-coloured",
        },
    },
    "brows": {
        "brows": {
            "thick": "thick|bushy|heavy",
            "thin": "thin|sparse|fine",
            "arched": "arched|curved",
            "straight": "straight|flat",
            "joined": "joined|connected|joined-up",
        }
    },
    "nose": {
        "nose": {
            "big": "big|large",
            "small": "small|little|button",
            "wide": "wide|broad",
            "narrow": "narrow|thin|slender",
            "straight": "straight|Greek",
            "pointed": "pointed|pointy|sharp",
            "hooked": "hooked|aquiline|Roman",
            "flat": "flat|flattened",
            "upturned": "upturned|turned-up|snub",
            "crooked": "crooked|bent",
        }
    },
    "lips": {
        "lips": {
            "full": "full|plump|thick",
            "thin": "thin|narrow",
            "wide": "wide|broad",
            "chapped": "chapped|cracked|dry",
        }
    },
    "mouth": {"mouth": {"closed": "closed|shut", "open": "open|wide-open"}},
    "teeth": {"mouth": {"teeth showing": "visible|exposed|bared"}},
    "chin": {
        "chin": {
            "pointed": "pointed|pointy|sharp",
            "round": "round|rounded",
            "square": "square|square-cut",
            "double": "double",
            "cleft": "cleft|dimpled",
            "prominent": "prominent|strong|protruding",
            "receding": "receding|weak",
        }
    },
    "expression": {
        "expression": {
            "neutral": "neutral|calm|blank|impassive|serious",
            "smiling": "smiling|happy|cheerful|joyful",
            "laughing": "laughing",
            "sad": "sad|unhappy|sorrowful|gloomy",
            "angry": "angry|annoyed|furious|irritated",
            "surprised": "surprised|astonished|amazed",
            "fearful": "fearful|scared|frightened|afraid",
            "disgusted": "disgusted|repulsed",
        }
    },
    "photo": {
        "quality": {
            "good": "sharp|clear|well-lit|high-quality|good-quality|crisp",
            "bad": "blurry|grainy|low-quality|poor-quality|blurred|unclear",
        },
        "pose": {
            "frontal": "frontal|front-facing|front-view|full-face",
            "three-quarter": "three-quarter|three-quarter-view|half-profile",
            "profile": "profile|side-view|side-on",
        },
    },
}

# noun -> (how it is counted, alternatives): a count noun takes "a", mass and plural nouns take none
NOUNS: dict[str, tuple[str, str]] = {
    "hair": ("mass", "hair"),
    "hairline": ("count", "hairline"),
    "fringe": ("count", "fringe"),
    "face": ("count", "face"),
    "skin": ("mass", "skin"),
    "cheekbones": ("plural", "cheekbones"),
    "cheeks": ("plural", "cheeks"),
    "eyes": ("plural", "eyes"),
    "brows": ("plural", "eyebrows|brows"),
    "nose": ("count", "nose"),
    "lips": ("plural", "lips"),
    "mouth": ("count", "mouth"),
    "teeth": ("plural", "teeth"),
    "chin": ("count", "chin"),
    "expression": ("count", "expression|look|facial expression"),
}
# The same thing as a noun that is counted in another way: American bangs, a complexion, a jaw.
OTHER_NOUNS: dict[str, tuple[str, str]] = {
    "fringe": ("plural", "bangs"),
    "skin": ("count", "complexion|skin tone"),
    "expression": ("count", "expression|demeanor|demeanour|countenance"),
}
# What follows the noun: "black hair tied back", "eyes wide open"
AFTER_NOUN: dict[str, Words] = {
    "hair": {"hair_length": {"tied back": "tied back|pulled back|in a ponytail|in a bun|worn up"}},
}

# Adjectives that sound wrong after "is" or "are" ("her chin is double", "his hair is thinning" is fine).
ATTRIBUTIVE = frozenset(
    "double|side|button|Greek|Roman|Caucasian|almond|little|gently waved|buzz-cut|brunette|fine|deep|gaunt|smiling"
    "|laughing|raven|flowing".split("|")
)

PHOTO_NOUNS = "photo|photograph|picture|image|portrait|headshot|shot|mugshot|close-up"

PEOPLE = {
    "female": "woman|woman|female|lady",
    "male": "man|man|male|gentleman",
    None: "person|person|individual",
}
MINORS = {"female": "girl", "male": "boy", None: "child|young person"}
