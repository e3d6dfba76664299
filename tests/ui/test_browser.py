"""Chromium drives the page through the whole flow, with the real service and the embedded model behind it.

`LIKENESS_SHOTS=FOLDER` keeps a picture of every station; the ones in docs/images are made so.
"""

import json
import os
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("playwright", reason="a browser is driven through playwright")
pytest.importorskip("fastapi", reason="the real service")

STEPS = 8


@pytest.fixture(scope="module")
def both(likeness, open_port, tmp_path_factory):
    """Addresses of the page and of the service, started by `likeness up`."""
    log = tmp_path_factory.mktemp("log") / "up.txt"
    ports = ("--port", str(open_port()), "--api-port", str(open_port()))
    home = {"LIKENESS_HOME": str(tmp_path_factory.mktemp("home"))}
    with log.open("w") as words, likeness("up", "--no-browser", *ports, env=home, stderr=words) as process:
        told = [process.stdout.readline() for _ in range(2)]
        assert all(told), log.read_text()
        yield [line.split()[-1] for line in told]


def asked(url):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


@pytest.mark.parametrize(("width", "scheme", "seed"), [(1280, "light", 10), (390, "dark", 110)])
def test_from_a_description_to_the_history(both, journey, tmp_path, width, scheme, seed):
    url, api = both
    with journey.browser(width, 844, scheme) as page:

        def shot(name):
            assert not journey.overflow(page), f"{name}: cut off on the right"
            if folder := os.environ.get("LIKENESS_SHOTS"):
                journey.picture(page, Path(folder) / f"page-{name}{'-phone' if width < 640 else ''}.webp")

        page.goto(url)
        page.get_by_text("How old was the person").wait_for()
        text = journey.describe(page, shot)
        journey.settings(page, STEPS, seed)
        journey.draw(page, shot)
        png, recipe = journey.save(page, tmp_path)
        new = journey.change(page, shot)
        journey.paint(page, shot)
        journey.compare(page, shot)
        entries = asked(f"{api}/v1/history?limit=50")["entries"]
        journey.history(page, shot)

    from likeness.provenance import read

    said = json.loads(recipe.read_text())
    assert said["request"]["prompt"] == text and read(png)["request"] == said["request"]
    painted, changed, *first = entries[:6]
    assert {row["prompt"] for row in first} == {text} and sorted(row["seed"] for row in first) == [
        seed + i for i in range(4)
    ]
    assert (
        changed["prompt"] == new != text
        and changed["seed"] == seed + 1
        and changed["attributes"]["glasses"] == "eyeglasses"
    )
    assert changed["parent"] in {row["id"] for row in first} and painted["parent"] == changed["id"]
    assert painted["request"]["strength"] == 0.8 and painted["request"]["mask"]  # the brush's mask went with it
    left = asked(f"{api}/v1/history?limit=50")["entries"]
    assert len(left) == len(entries) - 1 and painted["id"] not in {row["id"] for row in left}


def reach(page, text):
    """Press Tab until what has the focus says `text`."""
    for _ in range(90):
        page.keyboard.press("Tab")
        said = page.evaluate("document.activeElement.innerText || ''").split("\n")
        if len(said) <= 3 and said[-1].strip().startswith(text):  # before it at most an icon; a region has more lines
            return
    raise AssertionError(f"{text!r} cannot be reached with the Tab key")


def test_the_keyboard_is_enough(likeness, open_port, service, journey):
    port = open_port()
    with likeness("ui", "--port", str(port), "--api", service) as process, journey.browser() as page:
        process.stdout.readline()
        page.goto(f"http://127.0.0.1:{port}", timeout=journey.PATIENCE)
        page.get_by_text("How old was the person").wait_for()
        journey.settle(page)
        for label in ("18-19", "Woman"):
            reach(page, label)
            page.keyboard.press("Space")
            journey.settle(page)
            assert page.get_by_role("radio", name=label, exact=True).is_checked()
        reach(page, "Draw faces")
        page.keyboard.press("Enter")
        journey.faces(page).nth(1).wait_for()
        journey.settle(page)
        page.locator("body").press("Home")
        reach(page, "Face 2")
        page.keyboard.press("Enter")
        page.get_by_text("The chosen face").wait_for()
        journey.settle(page)
        reach(page, "Save the picture")
        with page.expect_download() as waiting:
            page.keyboard.press("Enter")
        assert waiting.value.suggested_filename == "face-8.png"
