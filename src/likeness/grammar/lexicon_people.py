"""People, vague ages, and the words around the facts: function words, filler, misspellings. For `parse`."""

from __future__ import annotations

from ..records import Age

MEN = (
    "man|male|gentleman|guy|men|dude|bloke|chap|fellow|lad|males|mr|father|dad|grandfather|grandpa|husband|uncle"
    "|brother|son|sir|king|actor|fisherman|waiter|boyfriend|policeman|nephew|gent|groom|businessman|mans|fella"
)
WOMEN = (
    "woman|female|lady|women|gal|females|mrs|ms|miss|mother|mom|mum|grandmother|grandma|wife|aunt|sister|daughter"
    "|madam|queen|actress|waitress|girlfriend|policewoman|niece|bride|businesswoman|womans|ladies|girl|girls|chick"
    "|granny"
)
PEOPLE_READ = (
    "person|persons|individual|adult|somebody|someone|human|suspect|subject|offender|attacker|perpetrator|victim"
    "|robber|singer|reporter|scholar|student|elder|figure|model|chef|neighbour|neighbor|witness|thief|member|citizen"
    "|youth|parent|character"
)
# Pronouns tell the gender only where no noun does.
HE = "he|his|him|himself|hes"
SHE = "she|her|hers|herself|shes"
THEY = "they|their|them|theyre|theirs|it|its"
GENDERED_ETHNICITY = {"latina": "female", "filipina": "female", "chicana": "female"}

# Ages that a word tells. "A girl" is often a grown woman: on its own the word says female and no age; "boy" is a minor.
MINOR_AGES = {
    Age(0, 2): "baby|infant|newborn|babies",
    Age(1, 3): "toddler|toddlers",
    Age(2, 12): "child|kid|children|kids|little girl|little boy|little kid|little child|small child|small girl"
    "|small boy|childs|prepubescent|loli|shota|kindergartner|kindergartener|tot|preschooler",
    Age(5, 17): "schoolgirl|schoolboy|school girl|school boy|schoolchild|school child|schoolkid|school kid|pupil"
    "|schoolgirls",
    Age(9, 12): "preteen|tween|pre teen|preteens|tweens",
    Age(13, 17): "adolescent|adolescents|adolescence|pubescent|middle schooler|teenybopper",
    Age(5, 18): "grader|graders",
    Age(13, 19): "teenager|teenage|teen|teens|teenaged|teenagers|in her teens|in his teens|in their teens",
    Age(14, 18): "high school student|high schooler|high school girl|high school boy|highschooler",
    Age(13, 16): "early teens",
    Age(14, 17): "mid teens",
    Age(17, 19): "late teens",
    Age(0, 17): "young girl|young boy|underage|underaged|minors|young child|jailbait|lolita|juvenile|youngster"
    "|young kid|not of legal age",
}
YOUNG_PEOPLE = {
    "male": "boy|little boy|young boy|schoolboy|school boy|boys|high school boy",
    "female": "girl|little girl|young girl|schoolgirl|school girl|girls|high school girl",
    "": "child|kid|toddler|baby|infant|teenager|teen|adolescent|pupil|high school student",
}
VAGUE_AGES = {
    Age(20, 29): "young|young adult",
    Age(40, 59): "middle aged|middle age",
    Age(60, 120): "old|older|senior|aging|ageing|senior citizen|pensioner",
    Age(70, 120): "elderly|very old|ancient",
    Age(0, 17): "boy|boys",
    Age(20, 49): "youngish",
}
# A three-year-old thing is no person.
NOT_PEOPLE = frozenset(
    "beard footage growth image painting photo photograph picture portrait scar stubble tattoo wound".split()
)

NEGATIONS = (
    "no|not|without|never|neither|nor|lacks|lacking|doesnt|dont|isnt|arent|wasnt|werent|hasnt|havent|didnt|cannot|cant"
    "|lack of|free of|absence of|devoid of|minus|sans|hed no|shed no|hadnt|non|nothing"
)
COPULAS = (
    "is|are|was|were|looks|look|looked|appears|appear|appeared|seems|seem|seemed|being|be|been|feels|feel|isnt|arent"
    "|wasnt|that|which|who|has been|have been|becoming|worn|cut|set|kept|styled|plucked|remains|remain"
)
# Things of which no field tells, although they begin with a word that has one.
OTHERS = (
    "eye patch|eyepatch|face mask|hair clip|hair pin|hair tie|face paint|hair net|lip balm|nose bleed|head phones"
    "|ear buds"
)
NONES = "none|absent|n a|nil|not visible|not present|missing"
YESES = "yes|present|worn|y"
ANDS = "and|plus|also|as well as|then|along with|together with|but also|&|/"
ORS = "or|nor"
ARTICLES = "a|an|the|this|these|those|some|any|another|his|her|their|its|my|our|your|both|each|one|two|several|many"
# Begin a new phrase: adjectives before them belong to nothing that follows.
BREAKS = (
    "with|has|have|had|having|wears|wear|wearing|wore|shows|show|showing|but|while|whereas|although|though|of|in|on|at"
    "|from|by|behind|under|over|above|below|beneath|around|near|into|to|for|as|because|when|where|like|displays"
    "|displaying|sports|sporting|features|featuring|between|against|beside|off|across|through|after|before|during"
    "|about|out|down|onto|towards|toward|along|within|via|w|among|past|looking|staring|stares|stare|gazing|gazes"
)
# Understood and ignored: degrees and hedges, words about the photograph, and judgements no picture can be held against.
FILLER = """
    theres few very quite rather really fairly slightly partly partially a little bit somewhat mostly mainly fully
    completely entirely totally clearly visibly apparently possibly perhaps maybe probably about around
    approximately approx roughly circa kind sort more less most least much so too just only all every such than
    there here even still well lot lots plenty i id im me we us you he she it they put see saw seen remember thats
    say said states stated described describe reported believed known called estimated wanted expressing expresses
    expressed expression mix mixture mixed race combination blend feeling showing appearance attractive handsome
    beautiful pretty lovely ordinary typical average good nice warm gentle friendly distinctive distinct
    distinguishing notable facial features feature characteristics traits photographed taken standard forensic
    photography police plain simple background backdrop front camera lens viewer studio portrait photo lighting
    natural soft neutral color colour colored coloured shade tone toned length shape shaped style texture framing
    framed composition center centre centered centred depicts depicting depicted captures capturing presents image
    visible has was been will would could can may might must do does did doing done get got going goes age aged
    years year old gender sex male female name details detail description info parted hair head top side sides
    middle end part also both either other same own upper lower left right while during close up view angle shown
    directly straight towards toward forward hint touch trace slight subtle light heavy pair set man woman thing
    things using holding speaking singing tied worn currently always usually clear bright body type build high
    quality resolution face-on headshot not yes ok per cent somewhere these what whose whom how if unknown
    identity identified offender suspect wears neat neatly trimmed groomed natural-looking looking-like like
    deeply lightly loudly loud out softly kept hanging covering covers partial
    """
FILLER_PHRASES = (
    "black and white photo|black and white picture|black and white image|black and white photograph"
    "|black and white portrait|in colour|in color|kind of|sort of|in front of|baby faced|baby face|babyface|babyfaced"
    "|boyish|girlish"
)
MISSPELT = {
    "moustach": "moustache", "mustashe": "mustache", "moustashe": "moustache", "mustach": "mustache",
    "hiar": "hair", "har": "hair", "glases": "glasses", "glassess": "glasses", "eyeglases": "eyeglasses",
    "sunglases": "sunglasses", "beared": "bearded", "bread": "beard", "recieding": "receding",
    "receeding": "receding", "freckels": "freckles", "hazle": "hazel", "brunnette": "brunette",
    "caucasion": "caucasian", "hispanc": "hispanic", "lation": "latino", "eybrows": "eyebrows",
    "eyebrowes": "eyebrows", "streight": "straight", "strait": "straight", "wawy": "wavy", "curley": "curly",
    "blong": "blond", "elderley": "elderly", "middel": "middle", "shoulderlength": "shoulder length",
    "suprised": "surprised", "surprized": "surprised", "angy": "angry", "smilling": "smiling",
    "smileing": "smiling", "nuetral": "neutral", "earings": "earrings", "neckless": "necklace",
    "jewlery": "jewelry", "jewelery": "jewelry", "wrinkels": "wrinkles", "stuble": "stubble", "goate": "goatee",
    "femal": "female", "womam": "woman", "wom": "woman", "oldman": "old man", "lipps": "lips", "crocked": "crooked",
    "portait": "portrait", "foto": "photo", "tatoos": "tattoos", "tatoo": "tattoo", "chubbby": "chubby",
    "almound": "almond", "cheakbones": "cheekbones",
}  # fmt: skip
