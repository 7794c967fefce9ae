import json

import runtime
from runtime import diagnosis


def test_reports_what_is_here():
    report = runtime.diagnose()
    json.dumps(report)
    assert report["package"] == runtime.__version__
    assert report["onnxruntime"]["works"]
    assert "CPUExecutionProvider" in report["onnxruntime"]["built_with"]
    assert report["packages"]["numpy"]
    assert report["machine"]["cores"] >= 1


def test_names_what_keeps_cuda_away(monkeypatch):
    monkeypatch.setattr(diagnosis, "cuda_problem", lambda: "no driver: install one")
    assert runtime.diagnose()["cuda"] == {"works": False, "problem": "no driver: install one"}
