"""How often a trait shows with a LoRA and without: the same prompts, which do not name it, and the same seeds.

The prompts are descriptions of the shipped test faces with the trait left out. `judge` and `eye` say who shows it;
whether the other words of the prompts are still followed is scored beside it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from likeness.cli.progress import bar
from likeness.errors import UsageError
from likeness.evaluate.adherence.cases import adherence, cases
from likeness.evaluate.adherence.traits import TRAITS
from likeness.evaluate.formulas.intervals import wilson
from likeness.evaluate.networks import features
from likeness.files import write_json
from likeness.generate.generator import FaceGenerator
from likeness.generate.grid import sheet
from likeness.grammar import describe
from likeness.models.eye import Eye
from likeness.models.judge import Judge
from likeness.records import Attributes, ImageRequest

KEPT = ("gender", "age", "ethnicity", "expression", "hair_color", "facial_hair", "headwear")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lora", required=True, help="path:weight, as for `likeness generate`")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--trait", default="glasses", choices=[t.name for t in TRAITS])
    parser.add_argument("--answer", default="any", help="the answer whose rate is asked, such as any, beard, Indian")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sheet", type=Path, help="also save eight faces without and with: a .png")
    parser.add_argument("--output", type=Path, default=Path("runs/bench/lora_trait.json"))
    options = parser.parse_args()
    trait = next(t for t in TRAITS if t.name == options.trait)
    if options.answer not in trait.answers:
        raise UsageError(f"--answer {options.answer!r}: choose from {', '.join(trait.answers)}")
    people = [told(case.attributes, trait.field) for case in cases(limit=options.count)]
    requests = asked(people, options)
    drawn = draw(requests, options)
    rows = [row(name, pictures, people, trait, options.answer) for name, pictures in drawn.items()]
    show(trait.title, options.answer, rows)
    if options.sheet:
        shown = [(sample.image, name) for name, samples in drawn.items() for sample in samples[:8]]
        images, names = zip(*shown, strict=True)
        sheet(images, columns=8, labels=names).save(options.sheet)
    facts = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
    write_json(options.output, {"settings": facts, "rows": rows})
    print(f"{len(people)} prompts, {options.steps} steps; written to {options.output}")


def told(person: Attributes, silent: str) -> Attributes:
    """What a prompt says: a few fields of a test face, and nothing of the trait."""
    return Attributes(**{k: v for k, v in person.said().items() if k in KEPT and k != silent})


def asked(people: list[Attributes], options: argparse.Namespace) -> list[ImageRequest]:
    from likeness.generate.loras import split

    like = ImageRequest("", model=options.model, steps=options.steps, loras=(split(options.lora),))
    return [replace(like, prompt=describe(p, "sentence", i), seed=1000 + i) for i, p in enumerate(people)]


def draw(requests: list[ImageRequest], options: argparse.Namespace) -> dict[str, list[Any]]:
    generator = FaceGenerator(options.model)
    without = [replace(request, loras=()) for request in requests]
    with bar("without") as tell:
        before = list(generator.stream(without, tell))
    with bar("with") as tell:
        return {"without": before, "with": list(generator.stream(requests, tell))}


def row(name: str, samples: list[Any], people: list[Attributes], trait: Any, answer: str) -> dict[str, Any]:
    """The trait's rate by both networks, and balanced accuracy of the others by `judge`."""
    pictures = [sample.image for sample in samples]
    seen = features.predictions(Judge.load(), pictures)
    eye = Eye.load()
    looked = {"judge": trait.judged(seen), "eye": trait.zero_shot(eye, features.image_features(eye, pictures))}
    wanted = list(trait.answers).index(answer)
    rates = {}
    for by, answers in looked.items():
        hits = sum(a == wanted for a in answers)
        rates[by] = (hits / len(answers), *wilson(hits, len(answers)))
    others = {}
    for other in TRAITS:
        truths = [other.truth(person) for person in people]
        for found in adherence(other, truths, other.judged(seen), "drawn", "judge"):
            if other is not trait and found.sets == "all":
                others[other.name] = asdict(found.score())
    return {"drawn": name, "rates": rates, "others": others}


def show(title: str, answer: str, rows: list[dict[str, Any]]) -> None:
    print(f"rate of {title}: {answer} [95 % interval], then balanced accuracy of what the prompts do say, by judge")
    for found in rows:
        rates = "  ".join(f"{by} {p:.2f} [{low:.2f}, {high:.2f}]" for by, (p, low, high) in found["rates"].items())
        others = "  ".join(f"{name} {s['value']:.2f}" for name, s in found["others"].items())
        print(f"{found['drawn']:8} {rates}   {others}")


if __name__ == "__main__":
    main()
