"""Prompts as the UNet reads them, against diffusers' own `encode_prompt`."""

import pytest
import torch
from diffusers import DiffusionPipeline

from likeness.models.conditioning import Conditioner, emphasise, time_ids
from likeness.models.registry import ASSETS

TEXTS = ["a man with blue eyes", "", "An old woman, café; 80 years", "very " * 100]
FAMILIES = ["mini", "sd15", "sd21", "sdxl"]


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request, tiny):
    folder = ASSETS / "mini" if request.param == "mini" else tiny(request.param)
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    return pipeline, Conditioner(pipeline.components, request.param)


def test_one_window_is_bit_for_bit_the_stock_encoding(loaded):
    pipeline, conditioner = loaded
    ours = conditioner.encode(TEXTS)
    theirs = pipeline.encode_prompt(
        TEXTS, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True, negative_prompt=[""] * 4
    )
    assert torch.equal(ours.hidden, theirs[0]) and ours.hidden.shape[1] == 77
    assert torch.equal(conditioner.encode([""] * 4).hidden, theirs[1])
    if conditioner.two:
        assert torch.equal(ours.pooled, theirs[2])
    else:
        assert ours.pooled is None


def test_it_can_be_trained_through(loaded):
    _, conditioner = loaded
    conditioner.encode(TEXTS[:1]).hidden.square().sum().backward()
    for encoder in conditioner.encoders:
        table = encoder.get_input_embeddings().weight
        assert table.grad is not None and table.grad.abs().sum() > 0
        encoder.zero_grad()


@torch.no_grad()
def test_a_long_text_is_read_in_windows(loaded):
    _, conditioner = loaded
    words = [f"{colour} hair" for colour in ("black", "brown", "gray", "blond") * 30]
    long = ", ".join(words)
    count = conditioner.windows([(long, 1.0)])
    assert count > 1 and conditioner.windows([(TEXTS[0], 1.0)]) == conditioner.windows([("", 1.0)]) == 1
    whole = conditioner.encode([long, TEXTS[0]], windows=count)
    assert whole.hidden.shape[1] == 77 * count
    # The first window is the cut text's; a short text is followed by empty windows; the pooled text is the first's.
    first = conditioner.encode([long, TEXTS[0]])
    torch.testing.assert_close(whole.hidden[:, :77], first.hidden)
    torch.testing.assert_close(whole.hidden[1:, 77:154], conditioner.encode([""]).hidden)
    assert (whole.hidden[0, 77:154] - whole.hidden[1, 77:154]).abs().max() > 0.01
    if conditioner.two:
        torch.testing.assert_close(whole.pooled, first.pooled)


@torch.no_grad()
def test_weights_are_a_straight_line_from_the_prompt_without_the_words(loaded):
    _, conditioner = loaded

    def encode(weight, text="glasses"):
        return conditioner.encode_tokens(conditioner.tokenize([[("a man with ", 1.0), (text, weight), (" on", 1.0)]]))

    plain, nothing = conditioner.encode(["a man with glasses on"]), conditioner.encode([""]).hidden[0]
    ends = encode(0.0)
    assert torch.equal(encode(1.0).hidden, plain.hidden)
    for weight in (0.5, 1.3):
        line = ends.hidden + weight * (plain.hidden - ends.hidden)
        torch.testing.assert_close(encode(weight).hidden, line)
    changed = (ends.hidden != plain.hidden).any(-1)[0]
    assert not changed[:4].any() and changed[4:].all()  # what comes before cannot know, what comes behind does
    torch.testing.assert_close(ends.hidden[0, 4], nothing[4])
    torch.testing.assert_close(ends.hidden, encode(0.0, "hat").hidden)  # at 0 it does not matter what the word was
    if conditioner.two:
        torch.testing.assert_close(encode(1.3).pooled, ends.pooled + 1.3 * (plain.pooled - ends.pooled))


@torch.no_grad()
def test_a_weighted_neighbour_changes_nothing_to_the_last_bit(loaded):
    _, conditioner = loaded
    plain, weighted = [("a man with glasses", 1.0)], [("a ", 1.0), ("woman", 1.5), (" with a hat", 0.7)]
    alone, beside = (
        conditioner.encode_tokens(conditioner.tokenize([plain, other])) for other in ([("a woman", 1.0)], weighted)
    )
    assert torch.equal(alone.hidden[0], beside.hidden[0])
    assert alone.pooled is None or torch.equal(alone.pooled[0], beside.pooled[0])


@torch.no_grad()
def test_several_weights_add_up_and_reach_other_windows(loaded):
    _, conditioner = loaded
    long = [("a man with ", 1.0), ("glasses", 1.5), (" and a hat," * 40, 1.0), (" smiling", 0.5)]
    count = conditioner.windows(long)
    weighted = conditioner.encode_tokens(conditioner.tokenize([long], count)).hidden
    plain = conditioner.encode(["".join(text for text, _ in long)], windows=count).hidden
    changed = (weighted != plain).any(-1)[0]
    assert count > 1 and changed[5:77].all() and changed[-4:].all() and not changed[77:90].any()


def test_emphasis_is_a_line_through_with_and_without():
    z, without = torch.tensor([3.0]), torch.tensor([1.0])
    assert [emphasise(z, z, without, w).item() for w in (0.0, 0.5, 1.0, 2.0)] == [1.0, 2.0, 3.0, 5.0]


def test_size_conditioning_is_the_stock_one(tiny):
    pipeline = DiffusionPipeline.from_pretrained(tiny("sdxl"))
    wide = pipeline.text_encoder_2.config.projection_dim
    theirs = pipeline._get_add_time_ids((512, 768), (1, 2), (64, 96), torch.float32, wide)
    assert torch.equal(time_ids((512, 768), (1, 2), (64, 96)).float(), theirs)
    assert time_ids([(1, 2)] * 3, [(0, 0)] * 3, [(3, 4)] * 3).tolist() == [[1, 2, 0, 0, 3, 4]] * 3
