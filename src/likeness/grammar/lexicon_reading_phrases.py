"""Whole phrases that `parse` understands and `describe` does not write."""

from __future__ import annotations

# Things: what stands before them describes them. Field -> value -> alternatives.
READ_THINGS: dict[str, dict[str, str]] = {
    "hair_length": {
        "very short": "buzz cut|crew cut|buzzcut|crewcut|skin fade",
        "bald": "bald spot|bald patch",
        "short": "pixie cut|bob cut|bob",
        "tied back": "ponytail|pony tail|bun|top knot|topknot|man bun",
    },
    "hair_texture": {
        "coily": "afro",
        "curly": "curls|ringlets",
        "wavy": "waves",
    },
    "hairline": {
        "widow's peak": "widows peak",
        "thinning": "thin hair on top",
    },
    "facial_hair": {
        "stubble": "day stubble|five oclock shadow|5 oclock shadow|designer stubble|day old beard|stubbly beard"
        "|stubble beard|three day beard|day growth|five o clock shadow|5 o clock shadow|stubbles",
        "moustache": "mustaches|moustaches|whisker|tache|mustachio",
        "goatee": "french beard|goatees|van dyke|vandyke|chin tuft|soul patch",
        "full beard": "beards|whiskers|chinstrap beard",
        "sideburns": "side burns|sideburn|mutton chops|muttonchops|sideboards",
    },
    "brows": {
        "joined": "uni brow|mono brow",
    },
    "mouth": {
        "teeth showing": "teeth",
    },
    "expression": {
        "smiling": "smile|smiles|grin|grins|happiness|joy|amusement|smirk|smirks",
        "laughing": "laugh|laughs|laughter|giggle|giggles|guffaw",
        "sad": "sadness|despair|sorrow|grief|frown|frowns|melancholy",
        "angry": "anger|rage|fury|scowl|scowls",
        "surprised": "surprise|astonishment|shock|amazement",
        "fearful": "fear|terror|fright",
        "disgusted": "disgust|revulsion",
        "neutral": "neutrality",
    },
    "glasses": {
        "eyeglasses": "glass|specs|spectacle|goggles|eye glasses|rimless glasses|reading glasses|bifocals|eyewear"
        "|frames|horn rimmed glasses",
        "sunglasses": "sun glasses|dark sunglasses|sunnies|aviators|ray bans|aviator sunglasses|tinted glasses",
    },
    "headwear": {
        "hat": "hats|beanie|fedora|beret|trilby|bowler|straw hat|woolly hat|cowboy hat|sombrero|bonnet|sun hat|panama",
        "cap": "flat cap|caps|peaked cap|baseball hat|ball cap|baseball caps",
        "headscarf": "head wrap|headwrap|head scarves|niqab|chador|headscarves|veil|bandana|bandanna|khimar"
        "|scarf on the head",
        "turban": "turbans|dastar|pagri",
        "other": "head covering|headdress|helmet|hood|crown|tiara|headband|hair band|hairband|headpiece|head gear",
    },
    "jewellery": {
        "earrings": "earring|ear rings|hoop earrings|hoops|ear studs|ear ring",
        "necklace": "necklaces|chain|choker|pendant|pearls|gold chain",
        "piercing": "piercings|nose ring|nose stud|lip ring|septum ring|eyebrow ring|nose piercing|lip piercing"
        "|nose rings",
        "bindi": "bindis|tilak|red dot on the forehead|red dot on her forehead",
    },
    "makeup": {
        "visible": "make up|lipstick|mascara|eyeliner|eye liner|eye shadow|eyeshadow|blusher|foundation|lip gloss"
        "|false eyelashes|rouge|eye make up|eye makeup",
    },
    "marks": {
        "wrinkles": "wrinkle|crows feet|laugh lines|laughter lines|facial lines|wrinkled face|furrows"
        "|lines on her face|lines on his face",
        "freckles": "freckle",
        "mole": "moles|beauty mark|beauty spots|beauty marks",
        "scar": "scars|scarring",
        "dimples": "dimple",
        "bags under eyes": "bags under his eyes|bags under her eyes|bags under their eyes|bags under eyes|eyebags"
        "|bags beneath the eyes|dark circles|dark circles under the eyes|dark circles under his eyes"
        "|dark circles under her eyes|dark circles under their eyes|bags",
        "acne": "pimple|zits|acne scars|spots|pustules|zit",
        "birthmark": "birthmarks|birth marks|port wine stain",
        "tattoo": "tattoos|face tattoo|tatoo",
        "braces": "brace|orthodontic braces",
    },
    "occlusion": {
        "microphone": "mic|microphone|microphones|mike|a mic|microphone in front of his face"
        "|microphone in front of her face",
    },
}

# Qualities: they stand among adjectives or behind "is".
READ_QUALITIES: dict[str, dict[str, str]] = {
    "ethnicity": {
        "White": "caucasian|european|scandinavian|nordic|slavic|russian|german|polish|anglo",
        "Black": "african|african american|afro american|afro caribbean|nigerian|jamaican|ethiopian|kenyan|ghanaian"
        "|somali|haitian",
        "Latino": "latino|latina|hispanic|latinx|latin american|latin|mexican|colombian|puerto rican|peruvian|chicano"
        "|chicana|latinos|cuban|salvadoran|guatemalan|brazilian",
        "East Asian": "chinese|japanese|korean|taiwanese|mongolian|east asian american",
        "Southeast Asian": "thai|vietnamese|filipino|filipina|indonesian|malaysian|malay|cambodian|burmese|laotian"
        "|southeast asian",
        "Indian": "indian|south asian|pakistani|bangladeshi|bengali|sri lankan|nepali|punjabi|tamil",
        "Middle Eastern": "middle eastern|arab|arabic|arabian|persian|iranian|iraqi|turkish|lebanese|syrian|egyptian"
        "|afghan|kurdish|moroccan|middle easterner|saudi",
        "Asian": "asian|asian american|oriental",
        "Native American": "native american|indigenous american|american indian|cherokee|navajo|first nations|sioux"
        "|apache|inuit",
        "Pacific Islander": "pacific islander|polynesian|samoan|hawaiian|maori|tongan|fijian|melanesian|micronesian",
    },
    "hair_color": {
        "brown": "brunette|brunet",
        "red": "redhead|redheaded|red headed",
        "blond": "blonds|blondes|fair haired",
    },
    "hair_length": {
        "bald": "baldheaded|shaven headed|shaved headed|balding on top|bald on top|shaven head|shaved head|shaven"
        "|bald pated|hairless head",
        "very short": "crew cut|buzz cut",
        "tied back": "in a ponytail|in a bun|ponytailed|in a pony tail",
    },
    "hairline": {
        "thinning": "balding|going bald|little hair|thinning on top",
    },
    "fringe": {
        "none": "fringeless",
    },
    "facial_hair": {
        "none": "clean shaved|cleanshaven|freshly shaved|smooth shaven|smooth faced|shaved",
        "stubble": "unshaved|stubbly|scruffy",
        "moustache": "mustached|mustachioed|moustachioed",
        "full beard": "heavily bearded",
        "goatee": "goateed",
    },
    "eye_state": {
        "looking away": "looks away|look away|glancing away|looking off camera|looking to the side|gazes away"
        "|gazing off|looking down|looks down|looking up|gazes off|looking left|looking right|looking sideways"
        "|looks to the side|averting|looking off|looks off|gazing aside|gazing to the side",
        "half-closed": "squinting|squints|heavy eyed",
        "closed": "sleeping|asleep",
        "open": "wide with fear|wide with surprise",
    },
    "expression": {
        "neutral": "neutral|calm|impassive|serious|stern|expressionless|emotionless|unsmiling|solemn|straight faced"
        "|stern faced|composed|poker faced|indifferent|stoic|unemotional",
        "smiling": "smiling|happy|cheerful|joyful|grinning|beaming|glad|joyous|pleased|delighted|amused|smirking|merry"
        "|jolly|smiley|jovial",
        "laughing": "laughing|giggling|chuckling|cracking up|laughs out loud|laughing out loud",
        "sad": "sad|unhappy|sorrowful|gloomy|crying|weeping|tearful|depressed|upset|dejected|mournful|melancholic"
        "|sadly|frowning|down in the mouth",
        "angry": "angry|annoyed|furious|irritated|mad|enraged|irate|glares|glaring|scowling|hostile",
        "surprised": "surprised|astonished|amazed|shocked|startled|stunned",
        "fearful": "fearful|scared|frightened|afraid|terrified|alarmed|with fear|wide with fear",
        "disgusted": "disgusted|repulsed|revolted|grossed out",
    },
    "glasses": {
        "eyeglasses": "wearing glasses|with glasses",
    },
    "headwear": {
        "none": "bare headed|bareheaded|capless|nothing on her head|nothing on his head|nothing on their head",
    },
    "makeup": {
        "none": "barefaced|make up free|makeup free|unmade up",
        "visible": "heavily made up",
    },
    "marks": {
        "freckles": "freckly",
        "scar": "scar faced",
        "acne": "pimply|spotty",
        "wrinkles": "wrinkly|wizened",
    },
    "jewellery": {
        "piercing": "nose pierced",
    },
    "mouth": {
        "teeth showing": "showing her teeth|showing his teeth|showing their teeth|baring his teeth|baring her teeth"
        "|baring their teeth|toothy|with teeth|toothily|shows teeth|gap toothed|grimacing",
        "closed": "closed mouth|tight lipped|mouth closed",
        "open": "open mouthed|gaping",
    },
    "occlusion": {
        "microphone": "speaking into a microphone|singing into a microphone|speaking into a mic|holding a mic",
    },
    "pose": {
        "frontal": "facing us|facing front|from the front|head on|face on|facing the viewer|face forward"
        "|faces the camera|facing towards the camera|faces forward|full frontal|front facing|facing straight ahead",
        "three-quarter": "turned slightly|in three quarter profile|turned slightly to the left"
        "|turned slightly to the right|three quarter profile|slightly turned|turned three quarters"
        "|turned slightly away|slightly angled|half turned|head turned slightly",
        "profile": "in profile|from the side|side on|side view|turned sideways|sideways|side profile|in side view",
    },
    "quality": {
        "bad": "out of focus|blurry|blurred|grainy|low res|pixelated|low resolution|low quality|poor quality",
        "good": "well lit|in focus|well exposed|sharp focus|high resolution|high quality|good quality",
    },
}

# Things whose kind isn't told: "no facial hair" says something, "facial hair" does not.
READ_ANY: dict[str, str] = {
    "facial_hair": "facial hair",
    "headwear": "headwear|headgear worn",
    "jewellery": "jewellery|jewelry|accessories",
}
