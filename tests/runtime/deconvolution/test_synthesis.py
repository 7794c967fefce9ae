import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.deconvolution import synthesis
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.synthesis import SynthesisAssumptions, Synthesiser, guide, load_synthesiser
from runtime.deconvolution.wiener import wiener
from runtime.errors import InvalidModel
from runtime.inference.bundle import MANIFEST
from runtime.inference.devices import CPU
from tests.support.pairs import ASSUMES, write_synthesis_bundle


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return Synthesiser(write_synthesis_bundle(tmp_path_factory.mktemp("models") / "first"), device=CPU)


def observe(scene, noise=0.01):
    return Observation(scene.observed, scene.kernel, noise)


def test_a_stage_that_returns_its_first_plane_leaves_the_linear_solutions(first, scene):
    """The first is that of `wiener`; the second agrees with the photograph at least as well."""
    observation = observe(scene)
    found = first.restore(observation)
    linear = wiener(observe(scene))
    assert found.shape == observation.model.shape
    model = observation.model
    misfits = [
        np.abs(model.crop(model.plane(model.transfer * model.spectrum(plane))) - scene.observed).mean()
        for plane in (found, linear)
    ]
    assert misfits[0] < misfits[1]
    assert np.abs(model.crop(found - linear)).mean() < 0.02


def test_the_last_plane_that_a_stage_sees_is_the_photograph(tmp_path, scene):
    last = Synthesiser(write_synthesis_bundle(tmp_path / "last", plane=2), device=CPU)
    observation = observe(scene)
    np.testing.assert_array_equal(observation.model.crop(last.restore(observation)), scene.observed)


def test_stages_see_the_kernel_and_the_noise_within_what_they_were_trained_on(first, scene, monkeypatch):
    seen = []
    run = type(first._stages[0]).run

    def watch(session, **inputs):
        seen.append(inputs)
        return run(session, **inputs)

    monkeypatch.setattr(type(first._stages[0]), "run", watch)
    for noise in (1e-4, 0.01, 0.5):
        first.restore(observe(scene, noise))
    assert [float(inputs["noise"][0]) for inputs in seen[::2]] == pytest.approx([0.002, 0.01, 0.04])
    assert all(side % ASSUMES["unit"] == 0 for inputs in seen for side in inputs["planes"].shape[2:])
    np.testing.assert_allclose(seen[0]["kernels"][0], guide(scene.kernel, ASSUMES["side"]))


@given(height=st.integers(1, 60), width=st.integers(1, 60))
def test_a_kernel_of_any_size_guides(height, width):
    drawn = np.random.default_rng(height).random((height, width)).astype(np.float32)
    seen = guide(drawn / drawn.sum(), 31)
    assert seen.shape == (31, 31)
    assert seen.dtype == np.float32
    assert seen.min() >= 0
    assert seen.sum() == pytest.approx(1, abs=1e-4)


def test_a_wider_kernel_is_seen_smaller():
    wide = np.zeros((61, 61), np.float32)
    wide[30] = 1 / 61
    seen = guide(wide, 31)
    assert (seen[15] > 0).all()
    assert seen[15].sum() > 0.9


def test_the_network_of_the_package_is_loaded_once(tmp_path):
    assert load_synthesiser(CPU) is load_synthesiser(CPU)
    assert load_synthesiser(CPU, write_synthesis_bundle(tmp_path / "own")) is not load_synthesiser(CPU)


@pytest.mark.data
def test_it_beats_hyper_laplacian_on_photographs(data_root, psnr):
    from runtime.deconvolution.hyper_laplacian import hyper_laplacian

    gains = []
    for case, shift in (("im01_ker05", (0, 0)), ("im02_ker02", (0, -1))):
        with np.load(data_root / "eval" / "levin2009" / f"{case}.npz") as stored:
            observed, latent = stored["y"], stored["x"]
            kernel = np.ascontiguousarray(stored["f"][::-1, ::-1], np.float32)
        scores = []
        for method in (load_synthesiser(CPU).restore, hyper_laplacian):
            observation = Observation(observed, kernel / kernel.sum(), 0.006)
            restored = np.roll(observation.model.crop(method(observation)), (-shift[0], -shift[1]), (0, 1))
            scores.append(psnr(restored, latent, 25))
        gains.append(scores[0] - scores[1])
    assert min(gains) > 0
    assert max(gains) > 0.3


@pytest.mark.parametrize(
    "wrong", [{"side": 20}, {"unit": 0}, {"weights": (0.0, 1.0)}, {"noise": (0.1, 0.01)}, {"noise": (0.0, 0.01)}]
)
def test_assumptions_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        SynthesisAssumptions(**wrong)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"constants": {}}, synthesis.CONSTANTS),
        ({"assumes": {**ASSUMES, "side": 31}}, "kernels"),
        ({"assumes": {**ASSUMES, "unit": 0}}, "unit"),
    ],
)
def test_bundles_of_something_else_are_refused(tmp_path, manifest, message):
    bundle = write_synthesis_bundle(tmp_path / "wrong", **manifest)
    assert (bundle.path / MANIFEST).is_file()
    with pytest.raises(InvalidModel, match=message):
        Synthesiser(bundle, device=CPU)


@pytest.mark.parametrize(
    "deviations", [[-1.0], [0.0], [np.nan], [], [0.1, 0.1], [[0.1]], 0.1], ids=lambda given: str(np.shape(given))
)
def test_deviations_that_cannot_be_are_refused(tmp_path, deviations):
    """One for each stage but the last: with fewer, the last stages would not be run, and nobody would know."""
    import json

    from runtime.inference.bundle import load_model, write_bundle

    bundle = write_synthesis_bundle(tmp_path / "wrong")
    np.savez(bundle.path / "synthesis.npz", deviations=np.array(deviations))
    manifest = json.loads((bundle.path / MANIFEST).read_text())
    manifest.pop("files")
    with pytest.raises(InvalidModel, match="deviations"):
        Synthesiser(load_model(write_bundle(bundle.path, manifest).path), device=CPU)
