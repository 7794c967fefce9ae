import subprocess
import sys

import pytest

from runtime import warm_up, warming
from runtime.deblurrer import Deblurrer
from runtime.errors import ModelNotFound


def test_progress_and_seconds_name_what_is_warmed():
    steps = []
    seconds = warm_up(models=["fba"], device="cpu", progress=lambda *step: steps.append(step))
    assert steps == [("fba", 0.0), ("deconvolve", 0.5)]
    assert list(seconds) == ["fba", "deconvolve"]
    assert all(second > 0 for second in seconds.values())


def test_a_model_that_is_not_there_is_an_error():
    with pytest.raises(ModelNotFound):
        warm_up(models=["no-such-model"], device="cpu")


def test_further_models_of_a_method_only_load_their_networks(monkeypatch):
    calls = []
    monkeypatch.setattr(warming, "_warm_deconvolution", lambda *arguments: None)
    monkeypatch.setattr(
        Deblurrer, "restore", lambda self, image, quality: calls.append((self.name, image.ndim, quality))
    )
    warm_up(models=["schuler", "schuler-any", "kaufman"], device="cpu")
    assert calls == [
        *[("schuler", 3, "fast"), ("schuler", 3, "balanced"), ("schuler", 2, "fast")],
        ("schuler-any", 3, "fast"),
        *[("kaufman", 3, "fast"), ("kaufman", 3, "balanced"), ("kaufman", 2, "fast")],
    ]


LATER = """
import numpy as np
import runtime
from runtime.warming import _photograph
photograph = np.tile(_photograph(), (2, 3, 1))
deblurrer = runtime.Deblurrer(device="cpu")
deblurrer.restore(photograph, quality="fast")
deblurrer.restore(photograph[..., 0].astype(np.uint16) * 257, quality="balanced")
deblurrer.restore(np.tile(photograph, (2, 2, 1)), quality="fast")
deblurrer.restore(photograph / 255, quality="fast", nonblind="wiener")
deblurrer.restore(photograph, quality="best")
for model in ("kaufman", "schuler-text"):
    runtime.Deblurrer(model=model, device="cpu").restore(photograph, quality="best")
runtime.Deblurrer(model="eboli", device="cpu").restore(photograph, quality="fast")
frames = [np.roll(photograph, shift, axis=1) for shift in range(4)]
runtime.deblur_burst(frames, device="cpu")
runtime.deblur_burst(frames, device="cpu", patch=64)
runtime.deblur_burst(frames, model="wieschollek", chroma="fba", device="cpu")
"""


@pytest.mark.slow
def test_after_it_no_process_compiles_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))

    def machine_code():
        return {path.name for path in tmp_path.rglob("*.nbc")}

    subprocess.run([sys.executable, "-c", "import runtime; runtime.warm_up(device='cpu')"], check=True, timeout=900)
    warmed = machine_code()
    assert len(warmed) > 20
    subprocess.run([sys.executable, "-c", LATER], check=True, timeout=900)
    assert machine_code() == warmed
