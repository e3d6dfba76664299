"""What can be set about drawing: how many, what to leave out, model, steps, guidance, seed, LoRAs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import streamlit as st

from .desk import Desk
from .look import plain
from .problems import Problem

SEEDS = 2**32
MOST = 8
MODEL_OWN = "the model's own"


@dataclass(frozen=True)
class Options:
    """`body` is the part of a request that is set here; `loras` are {"name", "weight"}; `base`: once more without."""

    body: dict[str, Any]
    loras: tuple[dict[str, Any], ...] = ()
    base: bool = False

    def bodies(self, prompt: str, attributes: dict[str, Any] | None) -> list[tuple[str, dict[str, Any]]]:
        """(label, request) for each job to submit: one, or two with the same seed, with and without the LoRAs."""
        body = self.body | {"prompt": prompt} | ({"attributes": attributes} if attributes else {})
        with_loras = body | ({"loras": list(self.loras)} if self.loras else {})
        if not (self.base and self.loras):
            return [("", with_loras)]
        seed = {"seed": body.get("seed", random.SystemRandom().randrange(SEEDS))}
        return [("With the LoRA", with_loras | seed), ("Without it", body | seed)]


def count() -> int:
    return st.slider("How many faces", 1, MOST, 4, key="opt.count", persist_state="session")


def options(desk: Desk, number: int) -> Options:
    """Draw the folded options; what they say. Nothing set is the model's own choice."""
    with st.expander("More settings", key="more"):
        body: dict[str, Any] = {"count": number}
        negative = st.text_input(
            "Leave out of the picture", key="opt.negative", placeholder="for example: hat, blur", max_chars=500,
            persist_state="session",
        )  # fmt: skip
        model = _model(desk)
        with st.container(horizontal=True):
            steps = _number("Steps", 1, 150, 1, MODEL_OWN, "More steps take longer and are a little cleaner.")
            guidance = _number("Guidance", 0.0, 30.0, 0.5, MODEL_OWN, "How closely the picture follows the words.")
            seed = _number(
                "Seed", 0, SEEDS - 1, 1, "a new one", "The number that a face grows from: same seed, same face."
            )
        said = {"negative_prompt": negative.strip(), "model": model, "steps": steps, "guidance": guidance, "seed": seed}
        body |= {k: v for k, v in said.items() if v not in (None, "")}
        loras, base = _loras(desk)
    return Options(body, loras, base)


def _number(label: str, low: Any, high: Any, step: Any, placeholder: str, tip: str) -> Any:
    return st.number_input(
        label, low, high, value=None, step=step, key=f"opt.{label.lower()}", placeholder=placeholder, help=tip,
        width=190, persist_state="session",
    )  # fmt: skip


def _model(desk: Desk) -> str | None:
    if desk.models is None:
        try:
            desk.models, desk.loras = desk.client.models(), desk.client.loras()
        except Problem as problem:  # faces can be drawn without the lists
            st.caption(plain(f"The list of models did not come. {problem}"))
            return None
    names = {str(m["id"]): str((m.get("likeness") or {}).get("title") or m["id"]) for m in desk.models}
    if len(names) < 2:
        return next(iter(names), None)
    return st.selectbox("Model", list(names), format_func=names.__getitem__, key="opt.model", persist_state="session")


def _loras(desk: Desk) -> tuple[tuple[dict[str, Any], ...], bool]:
    if not desk.loras:
        return (), False
    chosen = st.multiselect(
        "LoRA", desk.loras, key="opt.loras", placeholder="none", persist_state="session",
        help="A small addition to the model that was trained for one thing.",
    )  # fmt: skip
    weights = [
        st.slider(f"Weight of {name}", -1.0, 2.0, 1.0, 0.05, key=f"opt.lora.{name}", persist_state="session")
        for name in chosen
    ]
    base = bool(chosen) and st.checkbox("Also draw without it, to compare", key="opt.base", persist_state="session")
    return tuple({"name": n, "weight": w} for n, w in zip(chosen, weights, strict=True)), base
