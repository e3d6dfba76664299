"""The review page in a real browser: keys, buttons, editing, undo, what is remembered, and no network."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from likeness.caption import review
from likeness.caption.review_server import serving
from likeness.data.manifest import Manifest
from likeness.records import Attributes, FaceRecord

pytestmark = pytest.mark.browser
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
HOSTILE = (
    "<img src=x onerror=\"document.title='broken in'\"></script><script>document.title='broken in'</script> A man."
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "faces"
    (home / "images").mkdir(parents=True)
    rows = []
    for place in range(60):
        text = f"A man with brown hair, number {place} of many in this table."
        text = {1: "A woman with long blond hair and a round face.", 2: HOSTILE}.get(place, text)
        rows.append(FaceRecord(f"images/{place}.png", text, Attributes(gender="male")))
        Image.new("RGB", (32, 32), (place * 4, 90, 120)).save(home / rows[-1].file_name)
    Manifest(home).write(rows)
    return home


@pytest.fixture
def opened(browser: Any, folder: Path) -> Iterator[Any]:
    """The page of the folder from its file; at the end it has asked for nothing else and no script has failed."""
    context = browser.new_context(viewport={"width": 1000, "height": 700}, accept_downloads=True)
    page = context.new_page()
    asked: list[str] = []
    trouble: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: message.type == "error" and trouble.append(message.text))
    page.goto(review.write(folder).as_uri())
    yield page
    others = [url for url in asked if not url.startswith(("file://", "data:", "blob:"))]
    context.close()
    assert (others, trouble) == ([], [])


def row(page: Any, place: int) -> Any:
    return page.locator("#list > li").nth(place)


def test_keys_decide_move_and_take_back(opened, folder):
    opened.keyboard.press("j")
    assert row(opened, 0).get_attribute("aria-current") == "true"
    opened.keyboard.press("a")
    assert "accepted" in row(opened, 0).get_attribute("class")
    assert row(opened, 1).get_attribute("aria-current") == "true", "a decision goes on to the next"
    opened.keyboard.press("r")
    assert "2 of 60 decided" in opened.locator("#live").text_content(), "a screen reader hears it"
    opened.keyboard.press("u")
    assert "1 of 60" in opened.locator("#count").text_content()
    assert row(opened, 1).get_attribute("aria-current") == "true", "back at what was taken back"
    assert "rejected" not in (row(opened, 1).get_attribute("class") or "")
    opened.keyboard.press("k")
    assert row(opened, 0).get_attribute("aria-current") == "true"
    opened.keyboard.press("?")
    assert opened.locator("#keys").is_visible()
    opened.keyboard.press("r")
    opened.keyboard.press("Escape")
    assert "accepted" in row(opened, 0).get_attribute("class"), "keys decide nothing behind the list of keys"


def test_editing_with_the_keyboard(opened, folder):
    opened.keyboard.press("j")
    opened.keyboard.press("e")
    opened.keyboard.type("j r a u ")
    opened.keyboard.press("Escape")
    assert row(opened, 0).locator(".text").text_content().startswith("A man with brown hair"), "Esc leaves it as it was"
    opened.keyboard.press("e")
    opened.keyboard.press("Control+a")
    opened.keyboard.type("A man with <b>grey</b> hair.")
    opened.keyboard.press("Control+Enter")
    assert row(opened, 0).locator(".text").text_content() == "A man with <b>grey</b> hair."
    assert "edited" in row(opened, 0).get_attribute("class")
    with opened.expect_download() as download:
        opened.locator("#download").click()
    done = review.apply(folder, download.value.path())
    assert (done.edited, done.bad, done.changed) == (1, 0, 0)
    assert next(Manifest(folder).records()).text == "A man with <b>grey</b> hair."


def test_decisions_are_remembered_and_a_new_table_has_none(opened, folder):
    row(opened, 3).get_by_role("button", name="Reject").click()
    opened.reload()
    assert "rejected" in row(opened, 3).get_attribute("class")
    assert row(opened, 3).get_by_role("button", name="Reject").get_attribute("aria-pressed") == "true"
    Manifest(folder).fold(lambda r: FaceRecord(r.file_name, f"{r.text} He smiles."))
    review.write(folder)
    opened.reload()
    opened.keyboard.press("j")
    assert "0 of 60" in opened.locator("#count").text_content(), "a decision is about a text, not about a place"


def test_captions_are_shown_and_never_run(opened):
    assert row(opened, 2).locator(".text").text_content() == HOSTILE
    assert opened.title() == "Captions of faces" and opened.locator("#list img[src=x]").count() == 0


def test_filters_and_words_for_what_is_wrong(opened):
    assert "Conflict: gender: the label says male, the caption female" in row(opened, 1).text_content()
    opened.locator("#filter").select_option("conflicts")
    assert opened.locator("#list > li").count() == 1
    opened.locator("#filter").select_option("decided")
    assert opened.locator("#list > li").count() == 0 and opened.locator("#empty").is_visible()
    opened.locator("#filter").select_option("open")
    assert opened.locator("#list > li").count() == 60


def test_only_what_is_near_has_content(opened):
    opened.wait_for_function("document.querySelectorAll('#list article').length > 0")
    assert opened.locator("#list article").count() < 40
    opened.keyboard.press("j")
    for _ in range(59):
        opened.keyboard.press("ArrowDown")
    assert row(opened, 59).locator("img").is_visible()
    opened.wait_for_function("!document.querySelector('#list > li article')?.closest('li').matches(':first-child')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_needs_no_scrolling_sideways_and_text_has_contrast(opened, scheme):
    """4.5 to 1 is what WCAG 2.2 asks of text (1.4.3)."""
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": 360, "height": 700})
    opened.keyboard.press("j")
    opened.keyboard.press("r")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    contrast = """() => {
      const numbers = (css) => css.match(/[\\d.]+/g).map(Number);
      const light = (css) => numbers(css).slice(0, 3).map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const back = (node) => { for (; node; node = node.parentElement) {
        const css = getComputedStyle(node).backgroundColor; if (numbers(css)[3] !== 0) return css; } };
      const words = "h1, h2, .text, .state, .warning, button:enabled, summary, #count";
      return [...document.querySelectorAll(words)].map((node) => {
        const [a, b] = [light(getComputedStyle(node).color), light(back(node))];
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.className || node.tagName]; });
    }"""
    measured = opened.evaluate(contrast)
    assert len(measured) > 20 and min(measured)[0] >= 4.5, min(measured)


def test_a_served_page_saves_at_once_and_finishes(browser, folder):
    with serving(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        page = browser.new_page()
        trouble: list[str] = []
        page.on("console", lambda message: message.type == "error" and trouble.append(message.text))
        page.goto(server.address)
        page.keyboard.press("j")
        with page.expect_response("**/decisions"):
            page.keyboard.press("a")
        with page.expect_response("**/decisions"):
            page.keyboard.press("r")
        saved = [json.loads(line)["decision"] for line in (folder / "decisions.jsonl").read_text().splitlines()]
        assert saved == ["accepted", "rejected"]
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0 || !image.complete)")
        page.reload()
        assert "2 of 60" in page.locator("#count").text_content()
        page.get_by_role("button", name="Finish").click()
        page.get_by_text("Written to the table: 1 accepted, 1 rejected").wait_for()
        thread.join(120)
        page.close()
        assert not thread.is_alive() and trouble == []
    assert [r.text == "" for r in Manifest(folder).records()][:3] == [False, True, False]


def test_a_server_that_is_gone_is_told_and_nothing_is_lost_on_the_page(browser, folder):
    with serving(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        page = browser.new_page()
        page.goto(server.address)
        server.shutdown()
        thread.join()
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.get_by_text("Not saved yet").wait_for()
    assert "accepted" in row(page, 0).get_attribute("class")
    page.close()
