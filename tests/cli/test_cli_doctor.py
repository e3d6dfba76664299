import json

from likeness.cli import doctor
from likeness.cli.main import main


def test_offline_is_no_fault(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert main(["doctor", "--json"]) == 0
    told = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"python", "torch", "device", "memory", "disk here", "model mini", "model sd15", "hub"} <= set(told)
    assert told["model mini"]["state"] == "ok"
    assert told["hub"]["state"] == "note" and "offline" in told["hub"]["remedy"]
    assert all(row["remedy"] for row in told.values() if row["state"] != "ok")


def test_people_read_a_table(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", (doctor.python, doctor.disk))
    assert main(["doctor"]) == 0
    assert "ok" in capsys.readouterr().out.splitlines()[0]


def test_what_keeps_faces_from_being_drawn_ends_with_1(monkeypatch, capsys):
    monkeypatch.setattr("likeness.models.registry.present", lambda spec: None)
    monkeypatch.setattr(doctor, "CHECKS", (doctor.models,))
    assert main(["doctor"]) == 1
    assert "install likeness again" in capsys.readouterr().out
