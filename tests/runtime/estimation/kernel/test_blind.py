"""The kernel is estimated from the blurred photograph alone, and a sharp photograph is recognised."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.signal import fftconvolve
from skimage import data as pictures

from runtime.blur.kernel import align, centre_offset, delta, fit, similarity, spread
from runtime.decisions.reasons import Reason
from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType
from runtime.estimation.kernel import blind as module
from runtime.estimation.kernel.blind import FoundKernel, estimate_blind, find_kernel
from runtime.estimation.kernel.refine import KernelCandidate
from runtime.estimation.kernel.score import KernelScore
from runtime.options import Options
from runtime.quality import LEVELS, Comparison, SearchEffort
from runtime.run import Run
from tests.support.jobs import begun

SUPPORT = 25
PART = np.s_[:160, :160]


def likeness(estimate, truth, side=41):
    first, second = fit(estimate, side), fit(truth, side)
    return similarity(align(first, second), second)


def estimated(image, progress=None, **options):
    initial, support = options.pop("initial", None), options.pop("support", SUPPORT)
    run = Run(Options(**{"quality": "fast", **options}), progress=progress)
    return estimate_blind(image, run, initial=None if initial is None else initial.__getitem__, support=support)


@pytest.fixture(scope="module")
def observed(blurred):
    return blurred[PART]


@pytest.fixture(scope="module")
def learned(observed):
    return estimated(observed)


@pytest.fixture(scope="module")
def physical(observed):
    return estimated(observed, neural=False)


@pytest.fixture(params=["learned", "physical"])
def plain(request):
    return request.getfixturevalue(request.param)


class NoPriorError(Exception):
    pass


@pytest.fixture
def no_prior(monkeypatch):
    """Loading the learned prior fails."""

    def load_prior(device):
        raise NoPriorError

    monkeypatch.setattr(module, "load_prior", load_prior)


def test_finds_the_blur_without_its_size(plain, kernel):
    assert likeness(plain.kernel, kernel) > 0.8
    assert likeness(plain.kernel, kernel) > likeness(plain.kernel, kernel[::-1]) + 0.05
    assert plain.confidence > 0.9
    assert plain.reason is None
    assert 0.8 < plain.agreement <= 1


def test_is_a_kernel_in_place(plain):
    assert (plain.kernel.shape, plain.kernel.dtype) == ((SUPPORT, SUPPORT), np.float32)
    assert plain.kernel.min() >= 0
    assert plain.kernel.sum() == pytest.approx(1, abs=1e-5)
    assert centre_offset(plain.kernel) == (0, 0)


def test_what_was_found_is_measured_before_it_is_believed(learned, observed):
    found = find_kernel(observed, Run(Options(quality="fast")), support=SUPPORT)
    np.testing.assert_array_equal(found.kernel, learned.kernel)
    assert (found.confidence, found.agreement, found.log_error) == (
        learned.confidence, learned.agreement, learned.log_error
    )  # fmt: skip
    assert found.width == pytest.approx(spread(learned.kernel), rel=1e-5)
    assert math.prod(found.doubts.values()) == found.confidence


@pytest.mark.parametrize(("width", "believed"), [(5.0, True), (0.5, False)])
def test_a_kernel_that_is_not_believed_is_found_nevertheless(observed, monkeypatch, width, believed):
    kernel = np.full((SUPPORT, SUPPORT), 1 / SUPPORT**2, np.float32)
    found = FoundKernel(kernel, width, 0.9, -2.0, KernelScore(0.01, 0.01, 1.1, 1.0, 0.6))
    monkeypatch.setattr(module, "find_kernel", lambda observed, run, **options: found)
    estimate = estimated(observed)
    assert np.array_equal(estimate.kernel, kernel) == believed
    assert estimate.reason is (None if believed else Reason.NOT_BLURRED)
    assert (found.confidence >= 0.5) == believed


def test_only_the_prior_expects_an_error(learned, physical):
    assert math.isfinite(learned.log_error)
    assert math.isnan(physical.log_error)


def test_restores_more_than_it_breaks(plain, observed, sharp):
    from runtime.deconvolution.uniform import deconvolve_uniform
    from runtime.metrics import align, psnr

    def score(image):
        return psnr(align(image, sharp[PART], border=20), sharp[PART], border=20)

    restored = deconvolve_uniform(observed[None], plain.kernel, LEVELS["fast"].deconvolution)[0]
    assert score(restored) > score(observed) + 2


def test_does_not_depend_on_contrast(learned, observed):
    assert similarity(estimated((0.7 * observed).astype(np.float32)).kernel, learned.kernel) > 0.95


def test_large_photographs_are_judged_by_a_part_and_at_a_coarser_scale(kernel):
    whole = fftconvolve(pictures.camera() / 255, kernel, mode="same")
    noise = np.random.default_rng(0).normal(0, 0.01, whole.shape)
    assert whole.size > LEVELS["fast"].search.pixels
    found = estimated((whole + noise).astype(np.float32))
    assert likeness(found.kernel, kernel) > 0.8
    assert found.confidence > 0.9


class TestPrior:
    def test_is_loaded_by_default(self, no_prior, observed):
        with pytest.raises(NoPriorError):
            estimated(observed)

    def test_is_never_loaded_where_it_takes_no_part(self, no_prior, observed):
        assert math.isnan(estimated(observed[:60, :70], support=9, neural=False).log_error)

    def test_is_never_loaded_for_a_flat_image(self, no_prior):
        assert estimated(np.zeros((60, 70), np.float32)).confidence == 0


class TestInitialEstimate:
    def test_a_right_one_does_no_harm(self, learned, observed, sharp, kernel):
        helped = estimated(observed, initial=sharp[PART])
        assert likeness(helped.kernel, kernel) > likeness(learned.kernel, kernel) - 0.01

    def test_a_wrong_one_does_not_spoil(self, learned, observed, kernel):
        wrong = np.random.default_rng(3).random(observed.shape).astype(np.float32)
        spoiled = estimated(observed, initial=wrong)
        assert likeness(spoiled.kernel, kernel) > likeness(learned.kernel, kernel) - 0.05


class TestNoBlur:
    @pytest.mark.parametrize("learned", [True, False])
    def test_a_sharp_photograph_is_left_alone(self, sharp, learned):
        noise = np.random.default_rng(1).normal(0, 0.01, sharp[PART].shape)
        estimate = estimated((sharp[PART] + noise).astype(np.float32), neural=learned)
        assert estimate.confidence < 0.5
        assert estimate.reason == Reason.NOT_BLURRED
        np.testing.assert_array_equal(estimate.kernel, delta((SUPPORT, SUPPORT)).astype(np.float32))

    @pytest.mark.parametrize("bend", ["line", "dome", "cone", "sky"])
    @pytest.mark.parametrize(("scale", "noise"), [(1.0, 0.0), (0.01, 0.0), (1.0, 0.024), (0.01, 0.005)])
    def test_a_gradient_is_left_alone(self, bend, scale, noise):
        down, right = np.mgrid[:200, :260].astype(np.float32) / 260
        image = {
            "line": 0.1 + 0.6 * right + 0.2 * down,
            "dome": 0.9 - 0.8 * np.hypot(down - 0.4, right - 0.5) ** 2,
            "cone": 0.9 - 0.8 * np.hypot(down - 0.4, right - 0.5),
            "sky": 0.2 + 0.6 * np.exp(-2 * down),
        }[bend]
        noisy = image + np.random.default_rng(2).normal(0, noise, image.shape).astype(np.float32)
        estimate = estimate_blind(scale * noisy, Run(Options(quality="fast")), support=31)
        assert estimate.reason == Reason.FLAT

    def test_a_noisy_photograph_without_strong_edges_is_no_gradient(self, observed):
        noise = np.random.default_rng(3).normal(0, 0.02, observed.shape)
        weak = (0.5 + 0.3 * (observed - 0.5) + noise).astype(np.float32)
        assert estimated(weak).reason != Reason.FLAT

    @pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
    def test_a_flat_image_is_left_alone(self, level):
        estimate = estimated(np.full((60, 70), level, np.float32))
        np.testing.assert_array_equal(estimate.kernel, delta((SUPPORT, SUPPORT)).astype(np.float32))
        assert estimate.confidence == 0
        assert estimate.reason == Reason.FLAT

    @pytest.mark.parametrize("noise", [0.003, 0.02, 0.1])
    def test_an_image_of_nothing_but_noise_is_left_alone(self, noise):
        """Some kernel explains it by chance."""
        plane = np.random.default_rng(2).normal(0.5, noise, (150, 160)).astype(np.float32)
        estimate = estimated(plane)
        assert estimate.confidence == 0
        assert estimate.reason == Reason.FLAT

    def test_an_image_that_is_saturated_all_over_is_left_alone(self, observed):
        assert estimated(1 + observed[:60, :70], support=15).confidence < 0.5


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("shape", [(6, 6), (7, 30), (21, 20)])
def test_tiny_images_give_a_kernel(shape, initial, learned):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    support = min(shape) // 2
    estimate = estimated(image, initial=image if initial else None, support=support, neural=learned)
    assert estimate.kernel.shape == (support, support)
    assert estimate.kernel.min() >= 0
    assert estimate.kernel.sum() == pytest.approx(1, abs=1e-5)
    assert 0 <= estimate.confidence <= 1


@settings(max_examples=15, deadline=None)
@given(
    short=st.integers(6, 90),
    ratio=st.floats(1, 150),
    support=st.integers(3, 45),
    upright=st.booleans(),
    pixels=st.integers(200, 4000),
    neural=st.booleans(),
)
def test_images_of_all_proportions_give_a_kernel(short, ratio, support, upright, pixels, neural):
    """With less effort than any quality has: scales are small and a window narrow in the same proportion."""
    support, long = min(support, short // 2), min(int(ratio * short), 2000)
    texture = np.random.default_rng(0).random((short, long) if upright else (long, short))
    image = ndimage.gaussian_filter(texture.astype(np.float32), 1)
    effort = SearchEffort(pixels, (Comparison(pixels // 2), Comparison(pixels // 4, starts=2)), 2, 1, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(LEVELS, "fast", LEVELS["fast"]._replace(search=effort))
        run = Run(Options(quality="fast", neural=neural))
        found = find_kernel(image, run, initial=image.__getitem__, support=support)
    assert found is None or found.kernel.shape == (support, support)


def test_reports_progress(observed):
    reports = []
    estimated(observed[:100, :120], support=9, progress=lambda stage, fraction: reports.append((stage, fraction)))
    assert len({stage for stage, _ in reports}) == 1
    assert reports[-1][1] == 1
    assert [f for _, f in reports] == sorted(f for _, f in reports)


PLANE = 0.1 * np.random.default_rng(0).random((60, 70), np.float32) + np.float32(0.8) * (np.arange(70) > 35)


@pytest.mark.parametrize(
    ("observed", "options", "error", "word"),
    [
        (PLANE, {"support": 51}, InvalidArgument, "support is 51"),
        (PLANE, {"support": 2}, InvalidArgument, "support is 2"),
        (PLANE[:5], {"support": 3}, InvalidArgument, "allows 1 to 2 px"),
        (PLANE, {"quality": "superb"}, InvalidArgument, "quality 'superb': give one of fast, balanced, best"),
        (np.where(PLANE < 0.01, np.nan, PLANE), {}, InvalidImage, "NaN"),
        (PLANE, {"initial": np.where(PLANE < 0.01, np.inf, PLANE)}, InvalidImage, "infinity"),
        (PLANE[None], {}, InvalidImage, "shape"),
        (PLANE[:0], {}, InvalidImage, "shape"),
        (PLANE, {"initial": PLANE[1:]}, InvalidImage, "one shape"),
        (PLANE.astype(np.uint8), {}, UnsupportedType, "uint8"),
        ([[0.1]], {}, UnsupportedType, "observed"),
    ],
)
def test_bad_input_is_one_clear_line(observed, options, error, word):
    with pytest.raises(error, match=word) as caught:
        estimated(observed, **{"support": 9, "quality": "balanced", **options})
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(learned, observed):
    cupy = pytest.importorskip("cupy")
    there = estimated(cupy.asarray(observed))
    assert isinstance(there.kernel, cupy.ndarray)
    assert similarity(there.kernel.get(), learned.kernel) > 0.95


@pytest.mark.parametrize(("axis", "neural"), [(0, True), (1, False)])
def test_a_strip_is_judged_by_a_window_that_holds_the_kernel(axis, neural, kernel):
    """The window of the strip's proportions would be 16 px wide, which is 2 px at the coarsest scale."""
    strip = np.tile(pictures.camera()[200:300] / 255, (1, 34))
    strip, blur = (strip, kernel) if axis == 0 else (strip.T, kernel.T)
    noise = np.random.default_rng(0).normal(0, 0.01, strip.shape)
    observed = (fftconvolve(strip, blur, mode="same") + noise).astype(np.float32)
    found = find_kernel(observed, Run(Options(quality="fast", neural=neural)), support=49)
    assert likeness(found.kernel, blur, 51) > 0.8


@pytest.mark.parametrize(
    ("first", "second", "found", "searches"),
    [
        ((-2.5, 5.0), (-9.0, 5.0), -2.5, 1),
        ((-1.0, 5.0), (-1.5, 5.0), -1.5, 2),
        ((-1.0, 5.0), (-0.5, 5.0), -1.0, 2),
        ((-1.0, 5.0), (-3.0, 0.3), -1.0, 2),
        ((math.nan, 5.0), (-3.0, 5.0), math.nan, 1),
        ((-1.0, 0.3), (-3.0, 5.0), -1.0, 1),
        ((0.0, 5.0), (-3.0, 5.0), -3.0, 2),
        ((0.0, 5.0), (-1.5, 5.0), 0.0, 2),
    ],
    ids=["certain", "better", "worse", "not believed", "no prior", "not blurred", "taken back", "still doubtful"],
)
def test_a_doubtful_kernel_is_searched_for_again(observed, monkeypatch, first, second, found, searches):
    """A search is given as the predicted log error of its kernel, and the kernel's width in pixels."""
    made = []

    def search(effort, *_):
        log_error, width = (first, second)[len(made)]
        made.append(effort)
        kernel = delta((SUPPORT, SUPPORT)).astype(np.float32)
        return FoundKernel(kernel, width, 0.9, log_error, KernelScore(0.01, 0.01, 1.1, 1.0, 0.6))

    monkeypatch.setattr(module, "_find_with", begun(search))
    kept = find_kernel(observed, Run(Options(quality="fast")), support=SUPPORT)
    assert kept.log_error == pytest.approx(found, nan_ok=True)
    effort = LEVELS["fast"].search
    assert made == [effort, effort.second][:searches]


@pytest.mark.parametrize(
    ("starts", "which", "quality"),
    [([delta((9, 9))], "both", "fast"), ([], "first", "fast"), ([], "second", "balanced")],
    ids=["a start", "first", "no second"],
)
def test_one_search_is_made_where_there_is_a_start_or_the_first_alone_is_asked_for(
    observed, monkeypatch, starts, which, quality
):
    efforts = []
    monkeypatch.setattr(module, "_find_with", begun(lambda effort, *_: efforts.append(effort)))
    run = Run(Options(quality=quality), search=which)
    find_kernel(observed, run, support=SUPPORT, starts=starts)
    assert efforts == [LEVELS[quality].search]


@pytest.mark.parametrize(
    ("log_error", "agreement", "searched"), [(-3.0, 1.0, False), (-1.0, 1.0, True), (-3.0, 0.9, True)]
)
def test_the_first_estimate_is_made_only_where_starts_leave_doubts(
    observed, monkeypatch, log_error, agreement, searched
):
    """A search then has it within the window that it looks at."""
    made, seen = [], []
    candidate = KernelCandidate(fit(delta((5, 5)), SUPPORT), log_error)

    def search(blurred, *_):
        seen.append(blurred.initial)
        return candidate, 0.7

    def initial(window):
        made.append(window)
        return observed[window]

    monkeypatch.setattr(module, "polish_start", begun(lambda *arguments: candidate))
    monkeypatch.setattr(module, "polish_starts", begun(lambda *arguments: (candidate, agreement)))
    monkeypatch.setattr(module, "search", begun(search))
    found = find_kernel(
        observed, Run(Options(quality="fast")), initial=initial, support=SUPPORT, starts=[delta((5, 5))]
    )
    assert len(made) == searched
    assert found.agreement == (0.7 if searched else 1.0)
    for window, plane in zip(made, seen, strict=True):
        np.testing.assert_array_equal(plane, observed[window])


def test_the_second_search_alone_has_its_own_effort(observed, monkeypatch):
    efforts = []
    monkeypatch.setattr(module, "_find_with", begun(lambda effort, *_: efforts.append(effort)))
    find_kernel(observed, Run(Options(quality="fast"), search="second"), support=SUPPORT)
    assert efforts == [LEVELS["fast"].search.second]
