"""The card of a model that is published: what it is, its data, recipe and scores, whom it fails, what it is not for.

Nothing is invented: what neither the files nor the caller says is said as not known. The same input gives the same
text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from . import card_data, card_examples, card_scores, registry
from .card_data import Data
from .card_examples import Example
from .card_scores import Report
from .card_use import use
from .hub_names import INHERITED, LINKS
from .scrub import scrub
from .subject import Subject, hub_license

MARK = "<!-- written by likeness models card: edits are lost when it is written again -->"
UNKNOWN = "not known"
HERE = "path/of/this/folder"

# kind -> (what it is, pipeline_tag, library_name, tags)
KINDS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "lora": ("A LoRA that changes how {base} draws faces.", "text-to-image", "diffusers",
             ("lora", "text-to-face", "stable-diffusion")),
    "merged": ("{base} with LoRAs folded into its weights: a whole pipeline that draws faces from words.",
               "text-to-image", "diffusers", ("text-to-face", "stable-diffusion")),
    "pipeline": ("A pipeline that draws faces from words.", "text-to-image", "diffusers", ("text-to-face",)),
    "mini": ("A Stable Diffusion in miniature, trained from scratch, that draws faces of {size} pixels from words.",
             "text-to-image", "diffusers", ("text-to-face", "stable-diffusion")),
    "ddpm": ("A denoising diffusion model of pixels, trained from scratch: it draws faces{by_group}, not from words.",
             "unconditional-image-generation", "diffusers", ("ddpm",)),
    "dino": ("A diffusion model that draws variations of a face from its embedding by `{encoder}`.",
             "image-to-image", "likeness", ("variations",)),
    "eye": ("A small CLIP for faces: it says how well words fit a picture.", "zero-shot-image-classification",
            "transformers", ("clip",)),
    "judge": ("Attribute heads on a small network: what a drawn face shows, for measuring models that draw.",
              "image-classification", "likeness", ("attributes",)),
}  # fmt: skip

FORBIDDEN = """\
This holds whatever the licence allows:

- identifying, recognising or verifying anybody, and deciding anything about a person
- accusing anybody: a drawn face is no evidence. It is one of many that fit the words, and may resemble somebody who has
  nothing to do with them
- deceiving anyone about who or what is shown: impersonation, faked news, faked profiles. Say that a picture was
  generated
- sexual pictures of anybody without consent, and any such picture of a minor"""
_LIMITS = """\
Faces are drawn worse where the data had fewer of a group, and differ from what was asked for; the scores above say how
often, where they were taken. Gender in two boxes and ethnicity in seven are categories that people or networks assigned
to strangers' pictures: nobody was asked, and they overlap. What the data never showed (disability, skin conditions,
dress) it draws badly or not at all."""


@dataclass(frozen=True)
class Extra:
    """What the caller adds. `license`: of the model; `data`: sentences on the data; both go first in their sections."""

    scores: Sequence[Report] = ()
    audit: Report | None = None
    examples: Sequence[Example] = ()
    license: str | None = None
    data: str | None = None
    title: str | None = None


def card(what: Subject, extra: Extra | None = None, model: str = HERE) -> str:
    """The text of README.md. `model`: the id under which it is published.

    Raises `UsageError` for a report on another model.
    """
    extra = extra or Extra()
    _check_reports(what, extra)
    found = card_data.read(what.config)
    examples = list(extra.examples)
    prompt = examples[0].request.prompt if examples else None
    said = KINDS[what.kind][0].format(
        base=f"`{what.base}`" if what.base else "a base model whose name the file does not say",
        size=what.told.get("size"), encoder=what.told.get("encoder", UNKNOWN),
        by_group=" by group" if what.told.get("groups") else "",
    )  # fmt: skip
    own = card_data.shipped(what.path)
    scores = "\n\n".join(report.text() for report in extra.scores)
    middle = [
        f"## Data\n\n{_data(what, found, extra.data)}",
        f"## Licence\n\n{_licence(what, extra.license)}",
        f"## Recipe\n\n{_recipe(what)}",
        f"## Scores\n\n{scores or 'Not measured. `likeness evaluate` does it.'}",
        f"## Limits\n\n{_LIMITS}\n\n{_rare(found)}",
    ]
    if own:
        said_too = {"Data": extra.data, "Scores": scores}
        middle = [f"## What it is\n\n{own.text}", f"## Licence\n\n{_licence(what, extra.license)}"]
        middle += [f"## {name}, besides\n\n{text}" for name, text in said_too.items() if text]
    sections = [
        f"# {extra.title or what.name}\n\n{MARK}\n\n{said}",
        card_examples.table(examples) if examples else "No example pictures were given.",
        f"## How to use it\n\n{use(what, model, prompt).text()}",
        *middle,
        "## Audit\n\n" + (extra.audit.text() if extra.audit else "Not audited. `likeness evaluate audit` does it."),
        f"## What it must not be used for\n\n{FORBIDDEN}",
    ]
    return front(what, extra, examples) + "\n\n".join(sections) + "\n"


def front(what: Subject, extra: Extra, examples: Sequence[Example]) -> str:
    """The hub's YAML header, checked by the hub's own reader."""
    from huggingface_hub import ModelCard, ModelCardData

    _, tag, library, tags = KINDS[what.kind]
    name, license_ = license_of(what, extra.license)
    prompts = what.config.get("instance_prompt")
    facts: dict[str, Any] = {
        "license": name, "library_name": library, "pipeline_tag": tag, "tags": ["faces", *tags, "likeness"],
    }  # fmt: skip
    if name == "other":
        facts |= {"license_name": "unknown" if license_ == UNKNOWN else "see-card"}
    base = registry.MODELS.get(what.base or "")
    hub_id = base.hub_ids[0] if base and base.hub_ids else what.base if what.base and "/" in what.base else None
    if hub_id:
        facts |= {"base_model": hub_id, "base_model_relation": "adapter" if what.kind == "lora" else "finetune"}
    if prompts:
        facts["instance_prompt"] = prompts
    if examples and tag == "text-to-image":
        facts["widget"] = [{"text": one.request.prompt, "output": {"url": one.name}} for one in examples]
    text = f"---\n{ModelCardData(**facts).to_yaml()}\n---\n"
    ModelCard(text)  # raises for a header that the hub could not read
    return text


def license_of(what: Subject, given: str | None) -> tuple[str, str]:
    """(the hub's short name, in words). A model that was fine-tuned has its base's licence, unless the caller says."""
    own = card_data.shipped(what.path)
    words = given or what.base_license or (own.license if own else UNKNOWN)
    return hub_license(words) or "other", words


def _licence(what: Subject, given: str | None) -> str:
    short, words = license_of(what, given)
    lines = [f"- of this model: {words}{f' ({LINKS[short]})' if short in LINKS else ''}"]
    if words == UNKNOWN:
        lines = ["- **of this model: not known. Do not pass it on before its maker has said.**"]
    if what.base:
        lines.append(f"- of the base `{what.base}`: {what.base_license or UNKNOWN}")
        inherited = INHERITED.get(hub_license(what.base_license) or "")
        lines += [f"- {inherited}"] if inherited else []
    if what.kind == "dino":
        lines.append(f"- of the encoder that photos are read by: {what.told.get('encoder_license') or UNKNOWN}")
    return "\n".join(lines)


def _data(what: Subject, found: Sequence[Data], given: str | None) -> str:
    parts = [given] if given else []
    for one in found:
        if not one.found:
            parts.append(f"`{one.name}`: {UNKNOWN} beyond its name, the folder was not at hand when this was written.")
            continue
        split = f" in its {what.config['split']} split" if what.config.get("split") else ""
        lines = [f"`{one.name}`: {one.faces:,} faces{split}, of which these are the counts.\n"]
        license_ = _counted(one.licenses) if one.licenses else scrub(one.described) or UNKNOWN
        lines += [f"- licence of the pictures: {license_}", f"- sources: {_counted(one.sources) or UNKNOWN}"]
        lines += [f"- {name}: {_counted(counts)}" for name, counts in one.counts.items() if counts]
        parts.append("\n".join(lines))
    if groups := card_data.groups(what.run) or what.told.get("faces"):
        parts.append(f"Faces by group: {_counted(groups)}.")
    if count := what.facts.get("images"):
        where = ", ".join(what.config.get("where") or ())
        chosen = f", chosen by {where}" if where else ""
        held = f"; {what.facts['held_out']:,} were held out" if what.facts.get("held_out") else ""
        parts.append(f"Trained on {count:,} of them{chosen}{held}.")
    if merged := what.told.get("merged"):
        rows = "\n".join(f"- `{scrub(r['lora'])}` at {r['weight']:g}, SHA-256 {r['sha256']}" for r in merged["loras"])
        parts.append(f"What the LoRAs were trained on is {UNKNOWN} here. Folded in:\n\n{rows}")
    if base := card_data.shipped(registry.ASSETS / what.base) if what.base else None:
        parts.append(f"The base, `{what.base}`: {base.section('Data')}")  # its licence asks for its source to be named
    return "\n\n".join(parts) or f"What it was trained on is {UNKNOWN}."


def _counted(counts: dict[str, int], most: int = 12) -> str:
    rows = list(counts.items())
    left = sum(n for _, n in rows[most:])
    said = [f"{' '.join(str(scrub(name)).split()).replace('<', '&lt;')} {n:,}" for name, n in rows[:most]]
    return ", ".join(said + ([f"others {left:,}"] if left else []))


def _recipe(what: Subject) -> str:
    """Every setting that is known, and how far the training came, on what."""
    if not what.config:
        return f"The training settings are {UNKNOWN}."
    facts = [
        ("pictures seen", _seen(what)),
        ("started from", scrub(what.config.get("start") or what.base or "nothing else")),
        ("seed", (what.config.get("loop") or {}).get("seed")),
        ("hardware", what.facts.get("device")),
        ("precision", what.facts.get("precision")),
        ("processes", what.facts.get("processes")),
        ("loss at the end", _last(what.metrics, "loss")),
        ("loss of held-out faces at the end", _last(what.metrics, "held_out")),
        ("code", what.facts.get("commit")),
    ]
    rows = [f"| {name} | {UNKNOWN if value is None else value} |" for name, value in facts]
    settings = flattened(scrub(public(what.config)))
    flat = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in settings]
    return "\n".join(["| | |", "|---|---|", *rows, "\nAll settings:\n", "```yaml", *flat, "```"])


def _seen(what: Subject) -> int | None:
    """How many pictures were trained on, by what went on longest: the log, the checkpoints, or a LoRA's own file."""
    counts = [int(row.get("images", 0)) for row in what.metrics]
    counts += [int(p.name[11:]) for p in what.run.glob("checkpoint-*") if p.name[11:].isdigit()] if what.run else []
    return max([*counts, int((what.told.get("ours") or {}).get("images") or 0)]) or None


def public(config: dict[str, Any]) -> dict[str, Any]:
    """A run's settings without the places of this machine."""
    return {key: value for key, value in config.items() if key not in {"output", "cache"}}


def flattened(config: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """`{"loop": {"seed": 0}}` -> `[("loop.seed", 0)]`: the spelling of `--set`."""
    rows: list[tuple[str, Any]] = []
    for key, value in config.items():
        rows += flattened(value, f"{before}{key}.") if isinstance(value, dict) and value else [(before + key, value)]
    return rows


def _last(metrics: Sequence[dict[str, Any]], key: str) -> str | None:
    value = next((row[key] for row in reversed(metrics) if key in row), None)
    return None if value is None else card_scores.number(value)


def _rare(found: Sequence[Data]) -> str:
    here = [one for one in found if one.found]
    if not here:
        return f"Whom the data under-represent is {UNKNOWN}: no data were at hand to count."
    lines = []
    for one in here:
        for field, rare in one.too_rare().items():
            said = ", ".join(
                f"{value} ({share:.1%})" if share else f"{value} (nobody)" for value, share in rare.items()
            )
            lines.append(f"- `{one.name}`, {field}: {said}")
    told = "Under-represented, with less than half of an even share:\n\n" + "\n".join(lines) if lines else (
        "Of the groups that the labels name, none has less than half of an even share."
    )  # fmt: skip
    unsaid = [name for name in card_data.JUDGED if not any(one.counts.get(name) for one in here)]
    return told + (f"\n\nThe data do not say {' or '.join(unsaid)}, so nothing is known of it." if unsaid else "")


def _check_reports(what: Subject, extra: Extra) -> None:
    reports = [*extra.scores, *([extra.audit] if extra.audit else [])]
    if what.kind == "lora" or not any(report.fingerprint for report in reports):
        return  # a LoRA is measured on its base, whose fingerprint is told
    mine = registry.fingerprint(what.path)
    for report in reports:
        if report.fingerprint and report.fingerprint != mine:
            raise UsageError(
                f"{report.name} is about another model (fingerprint {report.fingerprint[:12]}, this one has "
                f"{mine[:12]}): measure this one"
            )
