from math import prod

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage import data

import runtime
from bench.accuracy.attempts import (
    KINDS,
    SceneSetup,
    make_sample,
    measure_kernel,
    measure_motion,
    measure_scene,
    read_photographs,
)
from bench.accuracy.scoring import score
from bench.data.datasets import Sample
from bench.data.photographs import shake_kernel
from export.data.scenes import KINDS as ALL_KINDS
from runtime.blur.motion import motion_kernel
from runtime.decisions.thresholds import CONFIDENT, PREDICTED_GAIN, SHORT_MOTION_GAIN, VARYING_MOTION_GAIN
from runtime.errors import InvalidArgument
from runtime.options import Options
from runtime.run import Run
from tests.bench.conftest import write_picture

SIZE = 200


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("camera", "chelsea"):
        write_picture(folder / f"{name}.png", getattr(data, name)()[:300, :400] / 255)
    return folder


def blurred(kernel):
    whole, margin = (data.camera()[40:280, 100:360] / 255).astype(np.float32), 20
    inside = slice(margin, -margin), slice(margin, -margin)
    sharp = whole[inside]
    noise = np.random.default_rng(5).normal(0, 0.004, sharp.shape)
    observed = (fftconvolve(whole, kernel, "same")[inside] + noise).clip(0, 1).astype(np.float32)
    return Sample(observed, sharp, border=24)


@pytest.mark.parametrize(
    ("model", "measure", "kernel"),
    [("chakrabarti", measure_kernel, shake_kernel(15)), ("eboli", measure_motion, motion_kernel(13, 30))],
)
def test_a_kept_attempt_is_what_the_runtime_gives(model, measure, kernel):
    sample = blurred(kernel)
    before = score(sample.observed, sample).psnr
    row = measure(sample, before, Run(Options(quality="fast")))
    result = runtime.Deblurrer(model=model, device="cpu").restore(sample.observed, quality="fast")
    assert result.reason is None
    assert row["kept"]
    assert row["gain"] > 0.5
    assert row["gain"] == pytest.approx(score(result.image, sample).psnr - before, abs=1e-3)


def test_a_sharp_photograph_is_restored_too_but_not_kept():
    sharp = (data.camera()[60:260, 120:340] / 255).astype(np.float32)
    sample = Sample(np.clip(sharp + np.random.default_rng(5).normal(0, 0.01, sharp.shape), 0, 1).astype(np.float32),
                    sharp, border=24)  # fmt: skip
    before = score(sample.observed, sample).psnr
    for measure in (measure_kernel, measure_motion):
        row = measure(sample, before, Run(Options(quality="fast")))
        assert not row["kept"]
        assert row["gain"] != 0


def test_a_scene_has_all_that_the_decisions_look_at(photographs):
    row = measure_scene(("uniform", 0), SceneSetup(photographs, SIZE))
    kernel, motion = row["kernel"], row["motion"]
    assert (row["kind"], row["number"]) == ("uniform", 0)
    assert 10 < row["psnr"] < 60
    assert set(kernel["probabilities"]) == {"not-blurred", "unclear", "not-uniform", "not-sparser"}
    assert kernel["confidence"] == pytest.approx(prod(kernel["probabilities"].values()))
    needed = {each.threshold: each for each in (PREDICTED_GAIN, SHORT_MOTION_GAIN, VARYING_MOTION_GAIN)}[
        kernel["needed"]
    ]
    assert kernel["kept"] == (kernel["confidence"] * needed.above(kernel["predicted"]) >= CONFIDENT)
    assert set(kernel["uniformity"]) == {"variation", "width_ratio", "contradicted"}
    assert list(motion["factors"]) == ["4", "8", "16"]
    assert motion["gain"] == motion["factors"][f"{motion['factor']:g}"]["gain"]
    measured = [kernel[key] for key in ("width", "agreement", "log_error", "unevenness", "sparsity_ratio", "gain")]
    measured += [motion[key] for key in ("reach", "relative_error", "misfit_ratio", "predicted", "gain")]
    assert np.isfinite(measured).all()


def test_scenes_are_always_the_same_and_differ_by_number_and_kind(photographs):
    setup = SceneSetup(photographs, SIZE)
    first, again, second = (make_sample("faint", number, setup) for number in (0, 0, 1))
    np.testing.assert_array_equal(first.observed, again.observed)
    np.testing.assert_array_equal(first.sharp, again.sharp)
    assert not np.array_equal(first.observed, second.observed)
    for kind in KINDS:
        sample = make_sample(kind, 3, setup)
        assert sample.observed.shape == sample.sharp.shape == (SIZE, SIZE)
        assert 0 <= sample.observed.min() <= sample.observed.max() <= 1


def test_every_kind_of_scene_is_measured():
    # Light is not what the decisions about stored values are about.
    assert set(KINDS) == set(ALL_KINDS) - {"light"}


def test_scenes_that_cannot_be_made_are_refused(photographs, tmp_path):
    with pytest.raises(InvalidArgument, match="no photographs there"):
        read_photographs(tmp_path)
    with pytest.raises(InvalidArgument, match="multiple of 8"):
        _ = SceneSetup(photographs, 130).config
    with pytest.raises(InvalidArgument, match="give larger ones"):
        make_sample("faint", 0, SceneSetup(photographs, 512))
