import json

import pytest

from runtime.cli.info import _plain
from tests.support.models import write_patch_bundle


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path))
    measured = {"levin2009": {"psnr": 30.5, "gain": 4.25}}
    return write_patch_bundle(tmp_path / "mine", "filters", accuracy=measured)


def test_models_lists_what_can_be_loaded(deblur, bundle):
    result = deblur("models")
    assert result.code == 0
    text = result.out.decode()
    assert f"{bundle.name} {bundle.version} ({bundle.method}, " in text
    assert bundle.description in text
    assert "    levin2009:\n      psnr: 30.5\n      gain: 4.25\n" in text
    assert f"  path: {bundle.path}\n" in text


def test_models_as_json(deblur, bundle):
    entries = {entry["name"]: entry for entry in json.loads(deblur("models", "--json").out)}
    entry = entries[bundle.name]
    assert entry["path"] == str(bundle.path)
    assert entry["accuracy"]["levin2009"]["gain"] == 4.25
    assert entry["megabytes"] == round(bundle.bytes / 1e6, 1)


def test_a_bundle_that_cannot_be_used_is_listed_with_its_fault(deblur, monkeypatch, tmp_path):
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path))
    for name, text in (("broken", "{"), ("deep", "[" * 100_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").write_text(text)
    whole = write_patch_bundle(tmp_path / "whole", "filters")
    (whole.path / "network.fp32.onnx").unlink()
    listed = deblur("models").out.decode()
    assert "chakrabarti-compact" in listed
    for name in ("broken", "deep", "whole"):
        assert f"unusable: {tmp_path / name}" in listed
    entries = json.loads(deblur("models", "--json").out)
    assert sum("error" in entry for entry in entries) == 3
    assert {"chakrabarti-compact", "fba"} <= {entry.get("name") for entry in entries}


def test_without_models_it_says_where_to_put_them(deblur, monkeypatch):
    monkeypatch.setattr("runtime.inference.bundle.find_models", lambda: ([], []))
    assert "DEBLUR_MODELS" in deblur("models").out.decode()


def test_doctor_says_what_works_and_what_is_in_the_way(deblur, monkeypatch):
    report = {
        "package": "0.1.0",
        "packages": {"numpy": "2.0", "onnxruntime-gpu": None},
        "cuda": {"works": False, "problem": "no driver: install one"},
        "models": [],
    }
    monkeypatch.setattr("runtime.inference.diagnosis.diagnose", lambda: report)
    assert deblur("doctor").out.decode() == (
        "package: 0.1.0\n"
        "packages:\n"
        "  numpy: 2.0\n"
        "  onnxruntime-gpu: none\n"
        "cuda:\n"
        "  works: no\n"
        "  problem: no driver: install one\n"
        "models: none\n"
    )
    assert json.loads(deblur("doctor", "--json").out) == report


def test_the_real_doctor_runs_here(deblur):
    result = deblur("doctor")
    assert result.code == 0
    assert b"onnxruntime:" in result.out


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (False, "no"), (None, "none"), ({}, "none"), ([], "none"), (["a", 1], "a, 1"), (0, "0")],
)
def test_values_in_plain_words(value, text):
    assert _plain(value) == text
