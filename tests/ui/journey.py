"""The way through the page in a real browser, station by station: attributes, description, faces, change, history."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PATIENCE = 120_000  # milliseconds; a busy machine of two cores draws and renders at once
Shot = Callable[[str], Any]


@contextmanager
def browser(width: int = 1280, height: int = 900, scheme: str = "light", scale: float = 1.0) -> Iterator[Any]:
    """A page of Chromium that looks as asked."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=scale
        )
        page.set_default_timeout(PATIENCE)
        yield page
        chromium.close()


def picture(page: Any, file: Path) -> None:
    """The whole station as WebP, however far it reaches below the window; the mouse away from tooltips."""
    from PIL import Image

    size = page.viewport_size
    page.mouse.move(size["width"] - 1, 1)
    reach = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(reach, 3000))})
    page.wait_for_timeout(600)
    png = page.screenshot()
    page.set_viewport_size(size)
    with Image.open(io.BytesIO(png)) as taken:
        taken.save(file, "WEBP", quality=82, method=6)


def overflow(page: Any) -> list[str]:
    """What reaches beyond the window's right edge, where nobody would look for it."""
    return page.evaluate(  # a slider's own input is hidden behind what is drawn
        """() => [...document.querySelectorAll('.stMainBlockContainer :is(button, textarea, img, p, [type=text])')]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
    )


def settle(page: Any) -> None:
    """Until the page has said all that it has to say."""
    page.wait_for_timeout(300)
    page.wait_for_function('!document.querySelector(\'[data-test-script-state="running"], [data-stale="true"]\')')
    page.wait_for_timeout(200)


def press(page: Any, label: str, role: str = "button") -> None:
    page.get_by_role(role, name=label, exact=True).first.click()
    settle(page)


def faces(page: Any) -> Any:
    """The buttons under the faces."""
    return page.get_by_role("button", name=re.compile(r"^Face \d"))


def choose(page: Any, place: int) -> None:
    settle(page)
    faces(page).nth(place).click()
    settle(page)


def describe(page: Any, shot: Shot) -> str:
    """Answer some questions; the description that they make."""
    for label in ("Woman", "30-39"):
        press(page, label, "radio")
    page.get_by_text("Hair", exact=True).click()
    settle(page)
    for question, answer in (("What colour was the hair?", "Blond"), ("How long was it?", "Long")):
        page.get_by_role("radiogroup", name=question).get_by_role("radio", name=answer, exact=True).click()
        settle(page)
    shot("describe")
    return page.get_by_label("Description").input_value()


def settings(page: Any, steps: int, seed: int) -> None:
    page.get_by_text("More settings", exact=True).click()
    for label, value in (("Steps", steps), ("Seed", seed)):
        field = page.get_by_role("spinbutton", name=label)
        field.fill(str(value))
        field.press("Enter")
        settle(page)


def draw(page: Any, shot: Shot) -> None:
    """Faces with previews; then the first is chosen."""
    page.get_by_role("button", name="Draw faces").click()
    page.get_by_alt_text("Face 1, not finished").wait_for()
    shot("drawing")
    faces(page).nth(1).wait_for()
    choose(page, 1)
    page.get_by_text("The chosen face").wait_for()
    settle(page)
    shot("faces")


def save(page: Any, folder: Path) -> tuple[Path, Path]:
    """The chosen picture and its recipe, as the browser saves them."""
    found = []
    for label in ("Save the picture", "Save its recipe"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=label).click()
        found.append(folder / waiting.value.suggested_filename)
        waiting.value.save_as(found[-1])
    return found[0], found[1]


def change(page: Any, shot: Shot) -> str:
    """Add glasses with the same seed; the new description."""
    press(page, "Add glasses")
    text = page.get_by_label("New description").input_value()
    shot("change")
    press(page, "Draw the change")
    page.get_by_text("Before and after").first.wait_for()
    settle(page)
    shot("changed")
    return text


def paint(page: Any, shot: Shot) -> None:
    """Paint a part of the chosen face with the brush, and have it drawn anew."""
    page.get_by_text("Only a part of it", exact=True).click()
    settle(page)
    press(page, "Paint it", "radio")
    canvas = page.locator("canvas").last
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(across - 50, down)
    page.mouse.down()
    page.mouse.move(across + 50, down, steps=8)
    page.mouse.up()
    settle(page)
    page.get_by_text("Nothing is marked yet.").wait_for(state="detached")
    shot("paint")
    press(page, "Smiling")
    press(page, "Draw the change")
    page.get_by_text("Before and after").first.wait_for()
    settle(page)


def compare(page: Any, shot: Shot) -> None:
    press(page, "Compare", "radio")
    page.get_by_text("Two faces side by side").wait_for()
    settle(page)
    shot("compare")


def history(page: Any, shot: Shot) -> int:
    """Favourite, search, delete; how many faces the history showed at first."""
    from playwright.sync_api import expect

    press(page, "History", "radio")
    page.get_by_text("What was drawn before").wait_for()
    settle(page)
    count = faces(page).count()
    choose(page, 0)
    press(page, "Add to favourites")
    page.get_by_text("Favourites only", exact=True).click()
    settle(page)
    expect(faces(page)).to_have_count(1, timeout=PATIENCE)
    page.get_by_text("Favourites only", exact=True).click()
    settle(page)
    shot("history")
    press(page, "Delete")
    press(page, "Delete for good")
    expect(faces(page)).to_have_count(count - 1, timeout=PATIENCE)
    return count
