import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import astronaut

from runtime import deconvolution, tiles
from runtime.blur.blurs import KernelBlur
from runtime.blur.kernel import delta
from runtime.blur.periodic import convolve
from runtime.colour import luminance
from runtime.errors import InvalidModel
from runtime.inference.bundle import MANIFEST, load_model
from runtime.inference.devices import CPU, Device
from runtime.noise import estimate_noise
from runtime.options import Options
from runtime.restoration import repair
from runtime.restoration.repair import (
    MODEL,
    REACH,
    RepairAssumptions,
    Repairer,
    _squares,
    evidence,
    facts,
    load_repairer,
)
from runtime.run import Run
from tests.support.cuda_stand_in import ndarray

NOISE = 0.005
ASSUMES = RepairAssumptions(8, 1e-4, (-4.0, 1.0), 0.3, (2, 1.5, -1))


def deconvolve(planes, kernel, kernel_error=0.0):
    return deconvolution.deconvolve(planes, KernelBlur(kernel), Run(Options()), kernel_error=kernel_error)


@pytest.fixture(scope="module")
def repairer():
    return Repairer(device=CPU)


@pytest.fixture(scope="module")
def kernel():
    drawn = np.zeros((15, 15), np.float32)
    drawn[np.arange(3, 12), np.arange(3, 12)] = 1
    drawn[11, 4:12] = 1
    return drawn / drawn.sum()


@pytest.fixture(scope="module")
def scene():
    return astronaut()[20:264, 100:354].transpose(2, 0, 1).astype(np.float32) / 255


@pytest.fixture(scope="module")
def sharp(scene):
    return scene[:, 7:-7, 7:-7]


@pytest.fixture(scope="module")
def observed(scene, kernel):
    blurred = np.stack([fftconvolve(plane, kernel, "valid") for plane in scene])
    return (blurred + np.random.default_rng(2).normal(0, NOISE, blurred.shape)).astype(np.float32)


def noise_of(planes):
    return estimate_noise(luminance(planes))


def error(planes, sharp):
    inner = (..., slice(20, -20), slice(20, -20))
    return float(np.mean((luminance(planes) - luminance(sharp))[inner] ** 2))


def test_a_wrong_kernel_does_less_harm(repairer, observed, sharp, kernel):
    wrong = np.ascontiguousarray(kernel[::-1])
    restored = deconvolve(observed, wrong, kernel_error=0.2)
    repaired = repairer.repair(
        luminance(observed), restored.copy(), KernelBlur(wrong), log_error=-0.5, noise=noise_of(observed)
    )
    assert error(repaired.planes, sharp) < 0.5 * error(restored, sharp)


def test_a_right_kernel_is_trusted_and_promises_a_gain(repairer, observed, sharp, kernel):
    restored = deconvolve(observed, kernel, kernel_error=0.2)
    repaired = repairer.repair(
        luminance(observed), restored.copy(), KernelBlur(kernel), log_error=-2.5, noise=noise_of(observed)
    )
    gained = error(observed, sharp) - error(restored, sharp)
    assert error(observed, sharp) - error(repaired.planes, sharp) > 0.95 * gained
    wrong = np.ascontiguousarray(kernel[::-1])
    promised = repairer.repair(
        luminance(observed),
        deconvolve(observed, wrong, kernel_error=0.2),
        KernelBlur(wrong),
        log_error=-0.5,
        noise=NOISE,
    ).gain
    assert repaired.gain > promised + 1


def test_every_plane_changes_alike(repairer, observed, kernel):
    restored = deconvolve(observed, kernel)
    change = (
        repairer.repair(
            luminance(observed), restored.copy(), KernelBlur(kernel), log_error=-2.0, noise=noise_of(observed)
        ).planes
        - restored
    )
    np.testing.assert_allclose(change[0], change[1], atol=1e-6)
    np.testing.assert_allclose(change[0], change[2], atol=1e-6)
    assert abs(change[0]).max() > 1e-4
    assert (
        repairer.repair(
            luminance(observed), restored, KernelBlur(kernel), log_error=-2.0, noise=noise_of(observed)
        ).planes
        is restored
    )


def test_tiles_leave_no_seam(repairer, observed, kernel, monkeypatch):
    restored = deconvolve(observed, kernel)
    whole = repairer.repair(
        luminance(observed), restored.copy(), KernelBlur(kernel), log_error=-2.0, noise=noise_of(observed)
    )
    monkeypatch.setattr(repair, "_CORE", 80)
    tiled = repairer.repair(
        luminance(observed), restored.copy(), KernelBlur(kernel), log_error=-2.0, noise=noise_of(observed)
    )
    assert abs(tiled.gain - whole.gain) < 0.5
    # The weight of the repair depends on the predicted gain of the whole image, so that tiles have no seams.
    changed, expected = tiled.planes - restored, whole.planes - restored
    expected *= np.vdot(changed, expected) / np.vdot(expected, expected)
    assert np.abs(changed - expected).mean() < 2e-4


def test_a_device_is_waited_for_once_however_many_tiles_there_are(stand_in, repairer, observed, kernel, monkeypatch):
    """The predicted gain agrees to 1e-3 dB, the planes to 1e-4."""
    monkeypatch.setattr(repair, "_CORE", 80)
    restored = deconvolve(observed, kernel)
    told = {"log_error": -2.0, "noise": noise_of(observed)}
    there = [ndarray(array) for array in (luminance(observed), restored.copy())]
    blur, on_device = KernelBlur(ndarray(kernel), kernel), Repairer(device=Device("cuda"))
    expected = repairer.repair(luminance(observed), restored, KernelBlur(kernel), **told)
    stand_in.clear()
    found = on_device.repair(*there, blur, **told)
    assert len(stand_in.waits) == len(stand_in.downloads) == 1
    assert found.gain == pytest.approx(expected.gain, abs=1e-3)
    np.testing.assert_allclose(found.planes.array, expected.planes, atol=1e-4)


def test_what_lies_beyond_the_margin_of_a_tile_makes_no_difference(repairer, rng):
    planes = rng.random((3, 2 * REACH + 8, 2 * REACH + 8), np.float32)
    parameters = facts(0.01, -2.0, 2.0, ASSUMES)[None]
    before, _ = repairer._run(planes, parameters)
    changed = planes.copy()
    changed[:, :8, :8] = 50.0
    differs = repairer._run(changed, parameters)[0] != before
    assert differs[:REACH, :REACH].any()
    assert not differs[REACH + 8 :].any()
    assert not differs[:, REACH + 8 :].any()


@pytest.mark.parametrize("shape", [(65, 90), (64, 64), (71, 66)])
def test_any_size_is_repaired(repairer, observed, kernel, shape):
    some = np.ascontiguousarray(observed[:1, : shape[0], : shape[1]])
    repaired = repairer.repair(
        luminance(some), deconvolve(some, kernel), KernelBlur(kernel), log_error=-1.0, noise=noise_of(observed)
    )
    assert repaired.planes.shape == some.shape
    assert repaired.planes.dtype == np.float32
    assert np.isfinite(repaired.planes).all()
    assert math.isfinite(repaired.gain)


def test_the_blur_that_it_is_told_counts(repairer, observed, kernel):
    restored = deconvolve(observed, kernel)
    right = repairer.repair(
        luminance(observed), restored.copy(), KernelBlur(kernel), log_error=-2.0, noise=noise_of(observed)
    )
    wrong = repairer.repair(
        luminance(observed), restored.copy(), KernelBlur(kernel[::-1].copy()), log_error=-2.0, noise=noise_of(observed)
    )
    assert np.abs(wrong.planes - right.planes).max() > 1e-3


def test_the_shipped_network_is_loaded_once():
    assert load_repairer(CPU) is load_repairer(CPU)


def test_the_evidence_of_no_blur_shows_no_misfit(observed):
    plane = luminance(observed)
    planes = evidence(plane, plane, convolve(plane, delta((5, 5)).astype(np.float32)))
    assert planes.dtype == np.float32
    np.testing.assert_array_equal(planes[0], planes[1])
    np.testing.assert_allclose(planes[2], 0, atol=1e-5)


def test_the_misfit_is_what_blurring_again_does_not_explain(observed, kernel):
    plane = luminance(observed)
    misfit = evidence(plane, plane, convolve(plane, kernel))[2]
    expected = fftconvolve(plane, kernel, "same") - plane
    np.testing.assert_allclose(misfit[20:-20, 20:-20], expected[20:-20, 20:-20], atol=1e-4)


@pytest.mark.parametrize("told", [(0.0, -50.0, 0.0), (0.5, 50.0, 60.0), (0.01, -1.5, math.e)])
def test_facts_stay_within_bounds(told):
    found = facts(*told, ASSUMES)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (abs(found) < 4).all()


def test_facts_of_the_usual_photograph_are_small():
    np.testing.assert_allclose(facts(0.01, -1.5, math.e, ASSUMES), 0, atol=1e-6)


def test_the_squares_of_a_tile_are_those_of_its_part():
    (_, last) = tiles.split(2100, 149)
    chosen = _squares(last, 8)
    assert chosen.start == (last.first - last.start) // 8
    assert chosen.stop * 8 >= last.last - last.start


def test_a_bundle_without_the_part_is_refused(tmp_path):
    from tests.support.models import write_patch_bundle

    bundle = write_patch_bundle(tmp_path / "other", "filters")
    with pytest.raises(InvalidModel, match="repair"):
        Repairer(bundle, device=CPU)


def shipped_with(folder, **changes):
    """Copy the shipped bundle and change what it assumes."""
    shutil.copytree(load_model(MODEL).path, folder)
    content = json.loads((folder / MANIFEST).read_text())
    content["assumes"] |= changes
    (folder / MANIFEST).write_text(json.dumps(content))
    return load_model(folder)


def test_facts_are_clipped_as_the_bundle_assumes(tmp_path, repairer, observed, kernel):
    other = Repairer(shipped_with(tmp_path / "other", log_errors=[-4.0, -2.5]), device=CPU)
    restored = deconvolve(observed, kernel)

    def repair(network, log_error):
        return network.repair(
            luminance(observed), restored.copy(), KernelBlur(kernel), log_error=log_error, noise=noise_of(observed)
        )

    expected, found = repair(repairer, -2.5), repair(other, -1.0)
    np.testing.assert_array_equal(found.planes, expected.planes)
    assert found.gain == expected.gain != repair(repairer, -1.0).gain
    narrow = dataclasses.replace(ASSUMES, least_noise=0.1, least_width=9.0)
    np.testing.assert_array_equal(facts(0.01, 0.0, 2.0, narrow), facts(0.1, 0.0, 9.0, ASSUMES))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": 16}, "height/16"),
        ({"unit": 8.0}, "unit is 8.0"),
        ({"least_width": 0}, "must be positive"),
        ({"log_errors": [1, -4]}, "must be a range"),
        ({"softness": 1}, "assumes softness, unknown to this version"),
    ],
)
def test_assumptions_that_cannot_be_met_are_refused_in_one_line(tmp_path, changes, message):
    bundle = shipped_with(tmp_path / "other", **changes)
    with pytest.raises(InvalidModel, match=message) as caught:
        Repairer(bundle, device=CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("log_errors", [np.nan, 1000, -1000])
def test_errors_that_no_photograph_has_are_those_of_damaged_weights(
    monkeypatch, repairer, observed, kernel, log_errors
):
    def run(self, planes, parameters):
        sides = [-(-size // ASSUMES.unit) for size in planes.shape[1:]]
        return planes[0].copy(), np.full((2, *sides), log_errors, np.float32)

    monkeypatch.setattr(Repairer, "_run", run)
    with pytest.raises(InvalidModel, match="its weights are damaged"):
        repairer.repair(luminance(observed), observed, KernelBlur(kernel), log_error=-2.0, noise=NOISE)
