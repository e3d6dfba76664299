"""The page in Streamlit's own test runner, against a real HTTP server: what is asked, sent, shown and said."""

import base64
import io
import time

from PIL import Image


def button(at, label):
    return next(b for b in at.button if b.label == label)


def labels(at):
    return [b.label for b in at.button]


def said(at):
    """Every box on the page."""
    return [box.value.replace("\\", "") for box in (*at.error, *at.info, *at.warning)]


def drawn(at):
    """The page once nothing is being drawn."""
    for _ in range(200):
        if "Cancel" not in labels(at):
            break
        time.sleep(0.05)
        at.run()
    assert not at.exception and "Cancel" not in labels(at)
    return at


def answer(at, name, value):
    at.pills(key=f"said.{name}").set_value(value).run()
    return at


def draw(at, text="A man.", count=2):
    at.text_area(key="description").set_value(text)
    at.slider(key="opt.count").set_value(count)
    return drawn(button(at, "Draw faces").click().run())


def bodies(state):
    return [body for method, path, body in state.asked if (method, path) == ("POST", "/v1/jobs")]


def go(at, station):
    return at.segmented_control(key="station").set_value(station).run()


def test_answers_write_the_description_and_an_edited_one_is_never_lost(service, page):
    at = answer(answer(page(), "gender", "female"), "age", "30-39")
    written = at.text_area(key="description").value
    assert written and answer(at, "glasses", "eyeglasses").text_area(key="description").value != written
    at.text_area(key="description").set_value("My words.").run()
    answer(at, "hair_color", "red")
    assert at.text_area(key="description").value == "My words." and "left alone" in said(at)[0]
    go(go(at, "History"), "Describe")  # nor is anything lost by looking elsewhere
    assert at.text_area(key="description").value == "My words." and at.pills(key="said.gender").value == "female"
    button(at, "Use the new one").click().run()
    fresh = at.text_area(key="description").value
    assert fresh not in {"My words.", written} and not said(at)
    button(at, "Rewrite in more detail").click().run()
    assert at.text_area(key="description").value.startswith(fresh) and at.text_area(key="description").value != fresh
    assert button(at, "Undo").click().run().text_area(key="description").value == fresh
    button(at, "Clear all answers").click().run()
    assert at.pills(key="said.gender").value is None and not at.text_area(key="description").value
    button(at, "Draw faces").click().run()
    assert said(at) == ["Answer a question first, or write a description."] and not at.exception


def test_answers_that_exclude_each_other(service, page):
    at = answer(answer(page(), "jewellery", ["earrings"]), "jewellery", ["earrings", "none"])
    assert at.pills(key="said.jewellery").value == ["none"] and not said(at)


def test_faces_are_drawn_chosen_and_changed(service, state, page):
    at = answer(answer(page(), "gender", "male"), "age", "30-39")
    at.number_input(key="opt.steps").set_value(3)
    at.text_input(key="opt.negative").set_value("hat")
    at = drawn(button(at, "Draw faces").click().run())
    first = bodies(state)[0]
    assert first["attributes"] == {"gender": "male", "age": "30-39"} and first["count"] == 4
    assert (first["steps"], first["negative_prompt"]) == (3, "hat") and "guidance" not in first and "seed" not in first
    assert [name for name in labels(at) if name.startswith("Face")] == ["Face 1", "Face 2", "Face 3", "Face 4"]
    button(at, "Face 2").click().run()
    assert [b.label for b in at.download_button] == ["Save the picture", "Save its recipe"]
    assert said(button(at, "Draw the change").click().run()) == ["Say first what should be different."]

    change = next(p for p in at.pills if p.label == "What should be different?")
    change.set_value(["Older", "Add glasses"]).run()
    drawn(button(at, "Draw the change").click().run())
    second = bodies(state)[1]
    assert second["attributes"] == {"gender": "male", "age": "50-59", "glasses": "eyeglasses"}
    assert second["seed"] == 8 and second["count"] == 1 and second["steps"] == 3 and second["negative_prompt"] == "hat"
    assert second["prompt"] != first["prompt"] and second["parent"] in state.entries and "image" not in second
    assert "Face 2 ✓" in labels(at)  # before and after, and the new one is chosen


def test_from_the_picture_and_only_a_part(service, state, page):
    at = draw(page(), count=1)
    assert "Face 1 ✓" in labels(at)  # one face is no choice
    at.radio[0].set_value("From this picture").run()
    button(at, "Draw the change").click()
    drawn(at.run())
    body = bodies(state)[1]
    assert body["image"] == next(iter(state.entries)) and body["strength"] == 0.5 and "mask" not in body

    at.radio[0].set_value("Only a part of it").run()
    assert said(button(at, "Draw the change").click().run()) == ["Mark a part first."]
    next(p for p in at.pills if p.label == "Parts").set_value(["Mouth"]).run()
    at.text_input[0].set_value("a quiff of zebra stripes").run()
    drawn(button(at, "Draw the change").click().run())
    body = bodies(state)[2]
    mask = Image.open(io.BytesIO(base64.b64decode(body["mask"])))
    assert mask.size == (128, 128) and mask.getpixel((64, 95)) == 255 and mask.getpixel((64, 20)) == 0
    assert "zebra stripes" in body["prompt"]  # words that mean no attribute are kept as they are


def test_base_against_lora_has_one_seed_and_is_compared(service, state, page):
    at = page()
    at.multiselect(key="opt.loras").set_value(["glasses"]).run()
    at.slider(key="opt.lora.glasses").set_value(0.5)
    at.checkbox(key="opt.base").set_value(True)
    draw(at, count=1)
    with_lora, without = bodies(state)
    assert with_lora["loras"] == [{"name": "glasses", "weight": 0.5}] and "loras" not in without
    assert with_lora["seed"] == without["seed"]
    go(at, "Compare")
    left, right = (at.selectbox(key=f"compare.{side}").value for side in ("Left", "Right"))
    assert left != right and any("glasses at 0.5" in html.body for html in at.html)


def test_history_is_searched_paged_kept_and_deleted(service, state, page):
    at = draw(draw_more(page(), "A man with a beard.", 8), "A woman.", 8)
    go(at, "History")
    assert len(faces(at)) == 12 and not button(at, "Older").disabled
    button(at, "Older").click().run()
    assert len(faces(at)) == 4 and button(at, "Older").disabled
    at.text_input(key="history.q").set_value("beard").run()
    assert len(faces(at)) == 8
    button(at, "Face 1").click().run()
    button(at, "Add to favourites").click().run()
    at.toggle(key="history.f").set_value(True).run()
    assert faces(at) == ["Face 1 ★ ✓"]
    button(at, "Delete").click().run()
    assert len(state.entries) == 16  # asked once more
    button(at, "Delete for good").click().run()
    assert len(state.entries) == 15 and not faces(at) and "Nothing fits" in said(at)[0]


def draw_more(at, text, count):
    return go(draw(at, text, count), "Describe")


def faces(at):
    return [name for name in labels(at) if name.startswith("Face ")]


def test_a_key_that_is_asked_for_can_be_typed_and_is_not_shown(service, state, page):
    state.key = "right"
    at = page()
    assert "does not know this key" in said(at)[0]
    at.text_input(key="key").set_value("right").run()
    assert not said(at) and at.pills(key="said.gender").options


def test_every_trouble_is_a_sentence_and_the_text_stays(service, state, page):
    at = page()
    state.busy = True
    at.text_area(key="description").set_value("A man.")
    button(at, "Draw faces").click().run()
    assert "busy" in said(at)[0] and "7 seconds" in said(at)[0] and at.text_area(key="description").value == "A man."
    state.busy = False
    at.text_area(key="description").set_value("forbidden")
    button(at, "Draw faces").click().run()
    assert "will not be drawn" in said(at)[0]
    draw(at, "crash")
    assert "the model stopped unexpectedly" in said(at)[0]


def test_a_service_that_is_away_is_no_traceback(monkeypatch, page):
    monkeypatch.setenv("LIKENESS_API_URL", "http://127.0.0.1:9")
    at = page()
    assert "likeness up" in said(at)[0]
    for station, words in {"Faces": "No faces yet", "Compare": "at least two", "History": "likeness up"}.items():
        assert words in said(go(at, station))[0] and not at.exception


def test_a_fault_of_the_page_is_written_down_and_not_shown(service, page, monkeypatch, caplog):
    monkeypatch.setattr("likeness.ui.questions.sections", lambda schema: 1 / 0)
    at = page()
    assert not at.exception and "went wrong" in said(at)[0] and "division" not in str(said(at))
    assert "ZeroDivisionError" in caplog.text


def test_cancel_stops_what_is_drawn(service, state, page):
    state.pause = 0.3
    at = page()
    at.number_input(key="opt.steps").set_value(100)
    at.text_area(key="description").set_value("A man.")
    button(at, "Draw faces").click().run()
    button(at, "Cancel").click().run()
    drawn(at)
    assert said(at) == ["Cancelled."] and next(iter(state.jobs.values()))["status"] == "cancelled"
