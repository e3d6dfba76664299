"""Adjectives and nouns that `parse` understands and `describe` does not write."""

from __future__ import annotations

from .lexicon import Words

# The nouns "person", "descent", "view" and "lighting" are read only.
READ_ADJECTIVES: dict[str, Words] = {
    "hair": {
        "hair_length": {
            "very short": "cropped very short|buzzed|shaved short|close cropped|cropped|clipped",
            "short": "shortish|cut short|short cut|ear-length|slicked-back short",
            "medium": "medium|mid length|chin-length|collar-length|shoulder length|medium long|to the shoulders"
            "|down to the shoulders|down to her shoulders|down to his shoulders|down to their shoulders|jaw-length",
            "long": "waist-length|very long|long flowing|hip-length|longish",
            "tied back": "tied|tied up|up|in a pony tail|in a ponytail|in a bun|in a messy bun|in ponytail"
            "|scraped back|swept up|pinned up|pinned back|tied in a ponytail|tied in a bun|pulled back|tied-back"
            "|up in a bun|gathered back|put up",
            "bald": "shaved off",
        },
        "hair_texture": {
            "straight": "straightened|poker-straight|lank",
            "wavy": "waved|slightly wavy|loosely curled",
            "curly": "curls|ringleted|curling|frizzy|permed",
            "coily": "afro|nappy|natural coily|tightly curled|kinky-coily",
        },
        "hair_color": {
            "black": "jet black|dark black|raven-black|ebony",
            "dark brown": "dark|brown-black|very dark|espresso|brunet|medium dark brown",
            "brown": "medium brown|brunet|chocolate|chestnut brown|mid-brown",
            "light brown": "mousy|mousey|sandy|dark blond|dark blonde|caramel",
            "blond": "light blond|light blonde|platinum|platinum blond|platinum blonde|ash blond|ash blonde"
            "|honey blond|honey blonde|strawberry blond|strawberry blonde|yellow|dirty blond|dirty blonde"
            "|towheaded|golden blond|golden blonde|pale blond|pale blonde|blondish",
            "red": "reddish|coppery|reddish-brown|red-brown|carrot|fiery red|bright red|ginger-red",
            "gray": "grayish|greyish|silvery|salt-and-pepper|steel-gray|steel-grey|gray-white|grizzled|iron-gray"
            "|iron-grey",
            "white": "snowy|snowy white|pure white",
            "dyed": "purple|pink|green|blue|bleached|rainbow|turquoise|dyed green|dyed blue|dyed pink|dyed purple"
            "|colourful|colorful|multicoloured|multicolored|neon",
        },
        "hairline": {
            "thinning": "thin|little|wispy|thinned",
            "receding": "receding",
        },
        "fringe": {
            "side-swept": "swept to the side|swept to one side",
        },
    },
    "hairline": {
        "hairline": {
            "thinning": "thinning",
            "receding": "receded|retreating",
            "widow's peak": "v-shaped",
        },
    },
    "fringe": {
        "fringe": {
            "full": "thick|heavy|long|short|straight-cut|curly|wispy",
            "side-swept": "swept|swept to the side|swept to one side|sideswept|parted|asymmetrical|to the side",
        },
    },
    "face": {
        "face_shape": {
            "oval": "ovalish",
            "round": "moon-shaped|roundish",
            "square": "squarish|angular",
            "heart": "heart",
            "long": "lengthy|narrow and long|oblong-shaped",
            "diamond": "diamond",
            "triangular": "triangle",
        },
        "cheeks": {
            "hollow": "gaunt|sunken",
            "full": "chubby|plump",
            "rosy": "flushed",
        },
        "marks": {
            "freckles": "freckled|freckly",
            "wrinkles": "wrinkled|lined|weathered",
            "scar": "scarred",
            "acne": "spotty|pimply|pimpled",
            "tattoo": "tattooed",
        },
        "facial_hair": {
            "none": "clean-shaven|shaven",
            "stubble": "unshaven|stubbly",
        },
        "expression": {
            "neutral": "straight|stern|expressionless|relaxed",
        },
    },
    "skin": {
        "skin_tone": {
            "pale": "pasty|ashen|porcelain|ivory|alabaster|ghostly pale|pale white",
            "fair": "fair-toned|peachy|creamy|white",
            "light": "light-toned|lightish",
            "medium": "medium-toned|medium tone",
            "olive": "olive-toned|mediterranean",
            "tan": "bronzed|bronze|golden|suntanned|sun-kissed|sunburned",
            "brown": "medium brown|light brown|caramel|medium-brown|warm brown",
            "dark": "dark brown|very dark|black|deep brown|dark-toned|chocolate",
        },
        "marks": {
            "wrinkles": "wrinkly|lined|deeply lined|weathered|wrinkled|leathery",
            "freckles": "freckly|freckled",
            "acne": "spotty|pimply|blemished|acne-prone|pimpled",
        },
        "cheeks": {
            "rosy": "rosy|flushed",
        },
    },
    "cheekbones": {
        "cheeks": {
            "high cheekbones": "sharp|high sharp|strong|defined|chiseled|chiselled",
        },
    },
    "cheeks": {
        "cheeks": {
            "full": "round|fat",
            "hollow": "thin",
            "rosy": "pink|blushing|rouged",
        },
        "marks": {
            "dimples": "dimpled",
            "freckles": "freckled",
        },
    },
    "eyes": {
        "eye_shape": {
            "almond": "almond shape|almond like",
            "round": "circular",
            "narrow": "narrowed|slit|slitty|thin",
            "big": "wide|huge|enormous|very big|very large",
            "small": "tiny|beady|piggy",
            "deep-set": "deep|set deep|deepset",
            "hooded": "droopy",
            "wide-set": "far apart|set apart|wide apart|set wide apart",
            "close-set": "close together|close|set close together",
            "bulging": "bulgy|protuberant|bug|popping",
        },
        "eye_state": {
            "open": "opened|wide open|completely open|fully opened",
            "half-closed": "half closed|half shut|half open|partly closed|nearly closed|narrowly open|squinted|sleepy"
            "|partially closed",
            "closed": "shut tight|tightly shut|tightly closed",
            "looking away": "averted|downcast|lowered|looking away|turned away|cast down",
        },
        "eye_color": {
            "brown": "light brown|deep brown|chestnut|chocolate|hazel brown",
            "blue": "light-blue|baby blue|bright blue|pale blue|dark blue|icy blue|ice-blue|bluish|sky blue",
            "green": "light green|dark green|emerald green|greenish|bright green|pale green",
            "gray": "light gray|light grey|grayish|greyish|steel-gray|steel-grey",
            "hazel": "hazel-coloured|hazel-colored|hazel-green",
            "amber": "honey|golden|yellowish-brown",
            "black": "very dark|jet black",
        },
        "marks": {
            "bags under eyes": "puffy|baggy",
        },
    },
    "brows": {
        "brows": {
            "thick": "big|thick-set|dense|full",
            "thin": "narrow|plucked|plucked thin|pencil-thin|pencil thin",
            "arched": "high-arched|highly arched|rounded",
            "straight": "level",
            "joined": "bridged|fused|meet in the middle|grown together|joined in the middle",
        },
    },
    "nose": {
        "nose": {
            "big": "bulbous|prominent|huge|long|pronounced",
            "small": "tiny|petite|short",
            "wide": "wide-bridged|flared",
            "narrow": "slim",
            "hooked": "beaky|hawk|hawkish|eagle|beaked|hook|curved",
            "pointed": "sharp-pointed",
            "upturned": "turned up|upturn|pug|retrousse|ski-slope",
            "crooked": "broken",
            "flat": "squashed",
        },
        "jewellery": {
            "piercing": "pierced",
        },
    },
    "lips": {
        "lips": {
            "full": "fleshy|pouty|big|voluptuous|plumped",
            "thin": "pinched|slim",
            "wide": "large",
            "chapped": "parched",
        },
        "mouth": {
            "closed": "closed|shut|pressed together|sealed|pursed",
            "open": "parted|slightly parted|open",
        },
    },
    "mouth": {
        "mouth": {
            "closed": "pressed shut|shut tight",
            "open": "wide open|slightly open|half-open|half open|agape|hung open|hanging open|parted|ajar|opened",
        },
        "lips": {
            "wide": "wide|broad",
        },
    },
    "teeth": {
        "mouth": {
            "teeth showing": "showing|on display|shown|displayed",
        },
    },
    "chin": {
        "chin": {
            "pointed": "tapered|v-shaped",
            "square": "square-shaped|squarish|angular|chiselled|chiseled",
            "double": "double-chinned",
            "prominent": "jutting|juts out|big|firm|heavy",
            "receding": "receded|recessed|small",
            "cleft": "clefted",
            "round": "soft",
        },
    },
    "photo": {
        "quality": {
            "good": "high quality|well lit|high-resolution|good quality|in focus|well-exposed|high-res"
            "|excellent quality|hd|crystal clear|detailed|high-definition|good|focused|sharply focused|clearly lit",
            "bad": "out of focus|low-resolution|low quality|poor quality|low-res|bad quality|pixelated|noisy|dark"
            "|underexposed|badly lit|poorly lit|fuzzy|out-of-focus|overexposed|bad",
        },
        "pose": {
            "frontal": "front|head-on|full-frontal|full-on|straight-on|full face|facing|forward-facing",
            "three-quarter": "three quarter|three quarters|semi-profile|half profile|angled",
            "profile": "side|lateral|side profile",
        },
    },
    "person": {
        "ethnicity": {
            "White": "white",
            "Black": "black",
        },
        "skin_tone": {
            "pale": "pale",
            "tan": "tanned|suntanned|tan",
        },
        "hair_color": {
            "blond": "blond|blonde",
            "red": "ginger",
            "gray": "grizzled|graying|greying",
        },
        "marks": {
            "wrinkles": "wrinkly",
        },
        "expression": {
            "neutral": "blank",
        },
    },
    "descent": {
        "ethnicity": {
            "White": "white",
            "Black": "black",
        },
    },
    "view": {
        "pose": {
            "frontal": "frontal|front|front-facing|full-face|straight-on|head-on",
            "three-quarter": "three-quarter|half-profile|semi-profile|three quarters|angled|oblique",
            "profile": "profile|side|lateral",
        },
    },
    "lighting": {
        "quality": {
            "good": "good|excellent|clear",
            "bad": "bad|poor|dim|low",
        },
    },
}

READ_NOUNS: dict[str, str] = {
    "hair": "hairs|haired|hairdo|hairstyle|hair color|hair colour|hair style|hair length|hair texture|locks|tresses"
    "|head of hair",
    "hairline": "hair line",
    "fringe": "fringes|bang|forelock",
    "face": "faced|face shape|facial shape|visage|head|shaped face",
    "skin": "skinned|skin color|skin colour|skin tones|complected|complexioned",
    "cheekbones": "cheekbone|cheek bones|cheek bone",
    "cheeks": "cheek|cheeked",
    "eyes": "eye|eyed|eye color|eye colour|eye shape|eyes color|eyes colour|gaze",
    "brows": "eyebrow|brow|browed|eye brows|eyebrowed",
    "nose": "nosed|noses",
    "lips": "lip|lipped",
    "mouth": "mouthed|mouths",
    "teeth": "tooth|toothed",
    "chin": "jaw|jawline|jawed|jaw line|chinned|jaws",
    "expression": "expressions|emotion|emotions|mood|facial expressions|appearance|emotional state",
    "photo": "pic|snapshot|snap|photos|frame|footage|quality|focus|image quality|picture quality|selfie|mug shot"
    "|head shot|closeup|shots",
    "view": "view|pose|angle|perspective|head pose|orientation",
    "lighting": "lighting|framing",
    "person": "subject|people|soul",
    "descent": "descent|ethnicity|heritage|origin|origins|ancestry|race|background|roots|extraction|ethnic group",
}
