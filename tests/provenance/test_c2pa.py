"""Signed manifests: read by the C2PA organisation's own library, not through our wrapper."""

import io
import json
import multiprocessing
import os
import stat

import pytest
from PIL import Image

from likeness.errors import MissingExtra, UsageError
from likeness.provenance import c2pa as manifests
from likeness.provenance import certificates

c2pa = pytest.importorskip("c2pa")


def foreign(data, anchor=None, kind="image/png"):
    """What c2pa-python's Reader says, with its own settings."""
    settings = {"version": 1, "trust": {"user_anchors": anchor}} if anchor else {"version": 1}
    context = c2pa.Context(c2pa.Settings.from_dict(settings))
    reader = c2pa.Reader(kind, io.BytesIO(data), context=context)
    return reader.get_validation_state(), json.loads(reader.json()), reader.get_validation_results()["activeManifest"]


def test_a_reader_that_is_not_ours_validates_and_trusts(signed, authority):
    state, report, results = foreign(signed, authority)
    assert state == "Trusted" and results["failure"] == []
    active = report["manifests"][report["active_manifest"]]
    assertions = {a["label"]: a["data"] for a in active["assertions"]}
    (action,) = assertions["c2pa.actions.v2"]["actions"]
    assert action["action"] == "c2pa.created" and action["softwareAgent"]["name"] == "likeness"
    assert action["digitalSourceType"] == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert assertions["org.likeness.model"]["fingerprint"] == "0123456789abcdef" * 4
    assert "thumbnail" not in active and "a man with a hat" not in json.dumps(report)


def test_without_its_anchor_it_is_valid_and_untrusted(signed, tmp_path):
    state, _, results = foreign(signed)
    assert state == "Valid" and [f["code"] for f in results["failure"]] == ["signingCredential.untrusted"]
    certificates.credentials(state=tmp_path)
    other = (tmp_path / "certificates" / "ca.pem").read_text()
    assert foreign(signed, other)[0] == "Valid", "another authority vouches for nobody of ours"


def test_a_changed_pixel_breaks_it(signed, authority):
    cut = signed.index(b"IDAT") + 40
    changed = signed[:cut] + bytes([signed[cut] ^ 1]) + signed[cut + 1 :]
    assert foreign(changed, authority)[0] == "Invalid"
    ours = manifests.read_manifest(changed, [authority])
    assert ours and not ours.valid and not ours.trusted and ours.problems


def test_our_reader_says_the_same(signed, authority):
    found = manifests.read_manifest(signed, [authority])
    assert found and found.valid and found.trusted and found.generated and not found.problems
    assert found.signer.startswith("likeness (self-made), likeness signer") and found.generator.startswith("likeness ")
    assert found.model["model"] == "mini" and len(found.model["watermark"]) == 10
    found = manifests.read_manifest(signed)
    assert found and found.valid and not found.trusted


def test_jpeg_is_signed_too_and_the_words_only_when_asked(portraits, saved_again, marks, authority):
    data, _ = saved_again(portraits[1], "JPEG", quality=90)
    signer = certificates.credentials(state=marks.state)
    open_words = manifests.sign(data, signer, {"model": "mini"}, prompt="a woman")
    assert foreign(open_words, authority, "image/jpeg")[0] == "Trusted"
    assert manifests.read_manifest(open_words, [authority]).model == {"model": "mini", "prompt": "a woman"}
    assert Image.open(io.BytesIO(open_words)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + b"jumbc2pa" * 9])
def test_broken_files_have_no_valid_manifest(data):
    found = manifests.read_manifest(data)
    assert found is None or not found.valid


def test_a_file_cut_short(signed):
    for length in (60, 500, len(signed) // 2, len(signed) - 5):
        found = manifests.read_manifest(signed[:length])
        assert found is None or not found.valid


def test_bad_anchors_and_formats_are_said(signed, marks):
    with pytest.raises(UsageError, match="trust anchor"):
        manifests.read_manifest(signed, ["nonsense"])
    with pytest.raises(UsageError, match="PNG, JPEG and WebP"):
        manifests.sign(b"GIF89a", certificates.credentials(state=marks.state), {})


def test_the_pair_is_made_once_and_its_key_is_private(tmp_path):
    first, second = (certificates.credentials(state=tmp_path) for _ in range(2))
    assert first == second and first.algorithm == "es256" and first.key not in repr(first)
    folder = tmp_path / "certificates"
    assert sorted(p.name for p in folder.iterdir()) == ["ca.pem", "signer.key", "signer.pem"]
    assert stat.S_IMODE((folder / "signer.key").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["certificates"], "nothing temporary stays"


def issue(state, gate, answers):
    gate.wait()
    answers.put(certificates.credentials(state=state))


def test_processes_that_start_at_once_agree(tmp_path):
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    gate, answers = context.Barrier(4), context.Queue()
    racers = [context.Process(target=issue, args=(tmp_path, gate, answers)) for _ in range(4)]
    for racer in racers:
        racer.start()
    found = [answers.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join()
    assert len({f.chain for f in found}) == len({f.key for f in found}) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["certificates"]


def test_the_operators_certificate_is_used_and_checked(tmp_path, portraits, saved_again):
    certificates.credentials(state=tmp_path / "one")
    certificates.credentials(state=tmp_path / "two")
    one, two = tmp_path / "one" / "certificates", tmp_path / "two" / "certificates"
    data, _ = saved_again(portraits[2], "PNG")
    theirs = certificates.credentials(str(one / "signer.pem"), str(one / "signer.key"))
    assert foreign(manifests.sign(data, theirs, {}), (one / "ca.pem").read_text())[0] == "Trusted"
    for certificate, key, says in (
        (one / "signer.pem", two / "signer.key", "not the key of"),
        (one / "signer.key", one / "signer.key", "no certificate in PEM"),
        (one / "signer.pem", one / "signer.pem", "no private key"),
        (one / "none.pem", one / "signer.key", "cannot read"),
        (one / "signer.pem", None, "go together"),
    ):
        with pytest.raises(UsageError, match=says):
            certificates.credentials(str(certificate), key and str(key))


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        certificates.credentials(state=tmp_path / "file" / "state")


def test_without_the_library_the_extra_is_named(signed, marks, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)  # what an import finds when it is not installed
    with pytest.raises(MissingExtra, match=r"likeness\[service\]"):
        manifests.sign(signed, certificates.credentials(state=marks.state), {})
