"""What a `likeness train` command does once its settings are known: train, or say what would be trained."""

from __future__ import annotations

import importlib
from typing import Any

from . import output as out

PARALLEL = ("lora",)  # recipes that several processes may train together


def machine(recipe: str, device: str | None, precision: str | None) -> Any:
    """The `Runtime` to train with, as one of the processes that were launched where the recipe knows how to share."""
    from .. import runtime

    found = runtime.choose(device, precision)
    if precision is None:
        found = runtime.choose(device, runtime.fast_precision(found.device))
    if recipe not in PARALLEL:
        runtime.alone()
    return runtime.join(found)


def execute(recipe: str, config: Any, device: str | None, precision: str | None, dry_run: bool) -> None:
    """Train a recipe that has a plan beside it, and print the path of what came out; with `dry_run` print the plan."""
    from ..models.stable_diffusion import quiet
    from .progress import stages

    found = machine(recipe, device, {"no": "fp32"}.get(precision or "", precision))
    module = importlib.import_module(f"likeness.train.recipes.{recipe}{'_plan' if dry_run else ''}")
    if dry_run:
        with quiet():
            out.as_json(module.plan(config, found))
        return
    with quiet(), stages() as progress:
        target = module.run(config, found, progress, out.remark)
    out.result(str(target))
