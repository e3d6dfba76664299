"""Word lists behind `quality` and `problems`: the photograph, the face, languages, refusals, names."""

from __future__ import annotations


def words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


# ---- the photograph and the face ----

PICTURE = (
    "image|picture|photo|photograph|portrait|snapshot|shot|selfie|headshot|head-shot|close-up|closeup|close up"
    "|mugshot|mug shot|profile picture|screenshot|still"
)
# What a sentence is about when it is about the photograph and not about the face.
ABOUT_PICTURE = (
    f"{PICTURE}|frame|camera|camera angle|background|backdrop|lighting|light|illumination|composition|framing"
    "|focus|depth|perspective|angle|setting|scene|tone|atmosphere|mood|colou?r palette|palette|colou?rs|exposure"
    "|quality|image quality"
    "|resolution|watermark|caption|view|environment|surroundings|shadows|aesthetic|vibe"
)
PERSON = (
    "man|woman|person|individual|subject|girl|boy|lady|gentleman|male|female|adult|teenager|child|baby|infant|toddler"
    "|guy|people|face|someone|model|he|she|they|men|women|boys|girls|youth|elder|senior"
)
# A sentence with one of these says something of the face, whatever else it speaks of.
FACE = words(
    "eye eyes eyed eyebrow eyebrows brow brows eyelid eyelids eyelash eyelashes lash lashes iris irises pupil pupils",
    "gaze hair haired hairline hairstyle haircut bangs fringe braid braids bun ponytail curls locks bald balding",
    "beard bearded stubble mustache moustache goatee sideburns clean-shaven skin complexion freckle freckles mole",
    "moles scar scars wrinkle wrinkles acne blemish blemishes dimple dimples birthmark tattoo tattoos nose nostrils",
    "nasal bridge lip lips mouth teeth tooth smile smiles smiling grin grinning laugh laughing frown frowning",
    "chin jaw jawline cheek cheeks cheekbone cheekbones forehead temple temples ear ears earlobe earlobes neck",
    "expression face-shape oval-shaped glasses eyeglasses spectacles sunglasses earring earrings necklace piercing",
    "bindi hat cap beanie headscarf hijab turban headband scarf makeup make-up lipstick eyeliner mascara eyeshadow",
    "blush foundation bags crow's crease creases lines",
)
# What a cut sentence ends with: nobody ends one so.
DANGLING = words(
    "a an the and or but with of in on at to for from by as is are was were has have had his her their its that which",
    "who while into over under very slightly quite wearing featuring giving framed",
)

# ---- words without content: two sentences that differ only in them say the same ----

EMPTY = words(
    "a an the this that these those is are was were be been being has have had do does of in on at to and or his her",
    "hers their its he she they it him them with as for from by s there also very quite both which who person",
    "individual subject man woman man's woman's person's overall appears appear seems seem additionally furthermore",
    "moreover addition can seen visible wearing wears feature features",
)

# ---- languages: words that do not stand in English text ----

LANGUAGES: dict[str, frozenset[str]] = {
    "German": words("der das und mit ein eine einen einer ist hat dem sich nicht auf ihre seine ihr sein von trägt"),
    "French": words("le les une et est dans avec du ses elle il qui aux sur cheveux yeux sont ainsi femme homme"),
    "Spanish": words("el los las una y con es su sus tiene del que por cabello ojos mujer hombre lleva está"),
    "Portuguese": words("uma um com é seu sua seus tem não cabelo olhos mulher homem está dos ao pele e os"),
    "Italian": words("il gli una con è che di suo sua ha dei della capelli occhi donna uomo sono nel"),
    "Dutch": words("het een en van zijn haar heeft niet met zij draagt ogen vrouw ook deze"),
    "Swedish": words("och ett är med hans hennes har som på det inte hår ögon kvinna"),
    "Polish": words("jest ma się nie oraz włosy oczy kobieta mężczyzna na twarz jego jej"),
    "Turkish": words("bir ve ile olan için kadın erkek saçlı gözlü var bu saçları gözleri"),
    "Indonesian": words("yang dan dengan ini memiliki rambut mata wanita pria adalah seorang di"),
    "Romanian": words("și cu este un o ochi părul femeie bărbat are sale"),
    "Vietnamese": words("và có một là với người phụ nữ đàn ông tóc mắt"),
}
ENGLISH = words(
    "a an the and with of in is are has have his her their he she they it that which who on to for this as at from by",
    "wearing looking not no very while there was be or but also both appears seems these its into about",
)

# ---- people's names ----

TITLES = (
    "Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Sir|Dame|Lord|President|Senator|Governor|Prime Minister|Minister|Chancellor|King"
    "|Queen|Prince|Princess|Pope|General|Captain|Saint|Actor|Actress|Singer|Rapper"
)
# Given names that are no English words: one of them before a verb is a person.
GIVEN = words(
    "james john robert michael david william richard joseph thomas charles christopher daniel matthew anthony steven",
    "paul andrew joshua kenneth kevin brian george timothy ronald jason edward jeffrey ryan jacob gary nicholas eric",
    "jonathan stephen larry justin scott brandon benjamin samuel gregory alexander patrick raymond dennis jerry",
    "mary patricia jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy sandra betty ashley emily",
    "kimberly margaret donna michelle carol amanda melissa deborah stephanie rebecca laura helen sharon cynthia",
    "kathleen amy angela shirley emma brenda nicole samantha katherine christine catherine rachel janet maria heather",
    "diane julie olivia victoria lauren priya rahul amit raj ahmed mohammed muhammad ali fatima aisha wei chen yuki",
    "hiroshi kenji carlos juan jose luis miguel ana sofia ivan olga dmitri natasha kwame chidi beyonce madonna elvis",
    "oprah rihanna obama trump biden putin einstein gandhi mandela",
)
# Words with a capital letter that name no person: peoples, places, months, makes.
NOT_NAMES = words(
    "african american asian european caucasian hispanic latin latino latina latinx middle eastern east west south",
    "north southeast southeastern northern southern western central native indigenous pacific islander islanders",
    "sub saharan afro caribbean black white brown arab arabic arabian persian jewish slavic nordic",
    "scandinavian mediterranean indian pakistani bangladeshi lankan sri nepali tibetan chinese japanese",
    "korean vietnamese thai filipino filipina malay",
    "malaysian indonesian mongolian kazakh turkish turk iranian iraqi syrian lebanese egyptian moroccan algerian",
    "tunisian nigerian kenyan ethiopian somali ghanaian senegalese congolese zimbabwean english british irish scottish",
    "welsh french german italian spanish portuguese dutch belgian swiss austrian swedish norwegian danish finnish",
    "icelandic polish czech slovak hungarian romanian bulgarian serbian croatian greek ukrainian russian georgian",
    "armenian mexican cuban puerto rican costa dominican colombian venezuelan brazilian peruvian chilean argentine",
    "argentinian bolivian canadian australian zealander new hawaiian samoan maori polynesian melanesian micronesian",
    "anglo saxon celtic gaelic hebrew hindu muslim islamic sikh christian buddhist amerindian mestizo romani berber",
    "january february march april may june july august september october november december christmas halloween",
    "mona lisa hollywood vuitton gucci york los angeles london paris america africa asia europe india china",
    "japan korea ray ban ray-ban nike adidas",
    "afghan uzbek yemeni saudi jordanian palestinian israeli kurdish cambodian laotian burmese singaporean taiwanese",
    "i fitzpatrick type monroe roman mohawk french-crop afro van dyke fu manchu vandyke cupid cupid's bow adam adam's",
)
# Nouns behind a make or a team: "a New Balance cap" names no person.
THINGS = words(
    "cap hat scarf tie suit dress coat shirt t-shirt jersey logo sweater hoodie jacket glasses sunglasses brand",
    "uniform badge style",
)
# Words that begin sentences and are in no vocabulary of faces.
OPENERS = words(
    "overall despite notably however although though additionally furthermore moreover beneath above below based given",
    "beyond among along another other each every some most many few several such what when where while if since so",
    "because it its there here both neither either sure certainly first second third finally lastly next then thus",
    "hence together upon within without judging according her his their she he they the a an this that these those",
    "in on at of to from by for with as and but or no not facial",
)
