from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

import runtime
from bench.data.camera import RECIPES
from bench.data.photographs import shake_kernel
from runtime.blur.blurs import KernelBlur, MotionBlur
from runtime.blur.kernel import extent, fit
from runtime.colour import luminance
from runtime.estimation.kernel.pyramid import BlurredImage
from runtime.estimation.kernel.score import measure_sparsity
from runtime.estimation.response import (
    Overshoot,
    _restore_in,
    as_it_says,
    bend,
    choose_response,
    in_light,
    is_bent,
    measure_overshoot,
)
from runtime.images import open_image
from runtime.inference.devices import CPU
from runtime.inference.progress import Stopwatch
from runtime.metrics import psnr
from runtime.options import Options
from runtime.preparation.fill import fill_unknown
from runtime.preparation.photograph import prepare
from runtime.response import LINEAR, SRGB
from runtime.run import Run, run_on

KERNEL = shake_kernel(17).astype(np.float32)
NAMES = ("astronaut", "coffee", "chelsea")


def seen(name, recipe):
    sharp = getattr(data, name)()[:280, :320].astype(np.float32) / np.float32(255)
    observed, truth = RECIPES[recipe](sharp, KERNEL, (3,))
    return np.ascontiguousarray(np.moveaxis(observed, -1, 0).clip(0, 1)), np.moveaxis(truth, -1, 0)


@pytest.mark.parametrize(
    ("asked", "linear", "used"), [("auto", True, "linear"), ("auto", False, "auto"), ("srgb", True, "srgb")]
)
def test_what_an_image_says_of_its_values_is_taken_at_its_word_unless_the_caller_knows(asked, linear, used):
    _, frame = open_image(np.zeros((9, 9), np.float32))
    photograph = prepare(np.zeros((1, 9, 9), np.float32))
    options = as_it_says(replace(frame, linear=linear), photograph, Options(response=asked))
    assert options == Options(response=used)


@pytest.mark.parametrize(
    ("shift", "used"),
    [
        (lambda values: 2 * values - 1, "auto"),
        (lambda values: values - 0.5, "auto"),
        (lambda values: values - 1, "auto"),
        (lambda values: 5 * values - 7, "linear"),
        (lambda values: (values - values.mean()) / values.std(), "linear"),
    ],
)
def test_no_curve_is_looked_for_where_black_is_only_guessed(shift, used):
    observed, _ = seen("coffee", "plain")
    planes, frame = open_image(np.moveaxis(shift(observed), 0, -1))
    assert frame.scale.black < 0
    assert as_it_says(frame, prepare(planes), Options()).response == used


@pytest.mark.parametrize(("asked", "used"), [("auto", "linear"), ("linear", "linear"), ("srgb", "srgb")])
def test_no_curve_is_looked_for_on_a_pedestal(asked, used):
    observed, _ = seen("coffee", "plain")
    raised, frame = open_image(np.moveaxis(0.7 + 0.1 * observed, 0, -1))
    options = Options(response=asked)
    photograph = prepare(raised, bent=is_bent(frame, options))
    assert bool(photograph.white.black) == (asked != "srgb")
    _, picture = open_image(np.zeros((9, 9), np.uint8))
    assert is_bent(picture, options)
    assert as_it_says(frame, photograph, options).response == used


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("recipe", "expected"), [("plain", LINEAR), ("light", SRGB), ("phone", SRGB)])
def test_the_curve_is_found_with_the_kernel(name, recipe, expected):
    observed, _ = seen(name, recipe)
    assert choose_response(luminance(observed), Run(Options()), KERNEL.astype(float)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_deconvolution_undoes_the_curve_by_itself(name):
    observed, truth = seen(name, "light")
    automatic, straight, bent = (
        psnr(runtime.deconvolve(np.moveaxis(observed, 0, -1), KERNEL, quality="fast", response=response).clip(0, 1),
             np.moveaxis(truth, 0, -1), border=20)
        for response in ("auto", "linear", "srgb")
    )  # fmt: skip
    assert automatic == bent
    assert automatic > straight + 1.5


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (33, 20)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_and_small_photographs_are_taken_as_they_are(shape, value):
    flat = np.full(shape, value, np.float32)
    assert choose_response(flat, Run(Options()), np.ones((1, 1))) == LINEAR


def test_the_darkness_around_lamps_does_not_count():
    observed, _ = seen("coffee", "lights")
    image = luminance(observed)
    known = image < 0.9
    clipped = BlurredImage(image, known, None, 0.005)
    naive = BlurredImage(image, np.ones_like(known), None, 0.005)
    careful, plain = (
        np.square(measure_overshoot(each, KERNEL.astype(float), SRGB, ~each.known).darkness).mean()
        for each in (clipped, naive)
    )
    assert careful < plain


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
@pytest.mark.parametrize(("recipe", "expected"), [("plain", LINEAR), ("light", SRGB)])
def test_masked_pixels_are_no_lights(share, recipe, expected, rng):
    observed, _ = seen("coffee", recipe)
    known = rng.random(observed.shape[1:]) >= share
    fill_unknown(observed, known)
    assert choose_response(luminance(observed), Run(Options(), known=known), KERNEL.astype(float)) == expected


def test_where_lights_reach_everything_nothing_speaks_against_a_curve():
    image = np.full((60, 80), 0.5, np.float32)
    image[::6, ::6] = 1.0
    blurred = BlurredImage(image, image < 0.9, None, 0.005)
    for curve in (LINEAR, SRGB):
        overshoot = measure_overshoot(blurred, KERNEL.astype(float), curve, image >= 0.9)
        assert not overshoot.darkness.any()
        assert overshoot.sparsity_gain == 1
    assert choose_response(image, Run(Options()), KERNEL.astype(float)) == SRGB


def overshoot(sparsity_gain, *darkness):
    return Overshoot(np.array(darkness), sparsity_gain)


def test_more_darkness_and_less_sparsity_speak_against_a_curve():
    usual = overshoot(0.7, 0.004)
    assert bend(usual, usual) == 0
    assert bend(overshoot(0.7, 0.01), usual) > 0 > bend(usual, overshoot(0.7, 0.01))
    assert bend(overshoot(0.75, 0.004), usual) > 0 > bend(usual, overshoot(0.75, 0.004))


def test_dark_places_count_alike_and_others_do_not():
    one, other = overshoot(0.7, 0.01, 0.02, 0.5, 0.001, 0.0), overshoot(0.7, 0.02, 0.04, 0.01, 0.0001, 0.0)
    logs = [np.log((a + 3e-4) / (b + 3e-4)) for a, b in ((0.01, 0.02), (0.02, 0.04), (0.5, 0.01))]
    assert bend(one, other) == pytest.approx(np.mean(logs), rel=1e-6)
    assert bend(overshoot(0.7, 0.002), overshoot(0.7, 0.0)) == 0


@pytest.mark.parametrize("shape", [(40, 48), (41, 35)])
def test_darkness_is_that_of_places(shape, rng):
    image = rng.uniform(0.0, 0.3, shape).astype(np.float32)
    known = np.ones(shape, bool)
    blurred = BlurredImage(image, known, None, 0.005)
    kernel = np.ones((1, 5)) / 5
    below, counted, *edges = (np.asarray(each) for each in _restore_in(
        image, known, ~known, 0.005, fit(kernel, extent(kernel)).astype(np.float32), response=LINEAR
    ))  # fmt: skip
    assert counted.all()
    found = measure_overshoot(blurred, kernel, LINEAR, ~known)
    rows, cols = (-(-side // 16) for side in below.shape)
    places = [below[16 * row : 16 * row + 16, 16 * col : 16 * col + 16] for row in range(rows) for col in range(cols)]
    np.testing.assert_allclose(found.darkness, [np.sqrt(np.square(each).mean()) for each in places], rtol=1e-5)
    after, before = (measure_sparsity(each) for each in edges)
    assert found.sparsity_gain == pytest.approx(after / before, rel=1e-5)


def with_signature(planes, colour, left, top):
    picture = Image.fromarray(np.rint(255 * np.moveaxis(planes, 0, -1)).astype(np.uint8))
    line = [(left + 2 * step, top + int(14 * np.sin(0.6 * step))) for step in range(20)]
    ImageDraw.Draw(picture).line(line, fill=colour, width=2)
    return np.ascontiguousarray(np.moveaxis(np.asarray(picture, np.float32) / 255, -1, 0))


@pytest.mark.parametrize("ink", [((0, 0, 0), 20, 20), ((20, 20, 120), 150, 120)])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("recipe", "expected"), [("plain", LINEAR), ("light", SRGB)])
def test_ink_beside_which_everything_overshoots_does_not_decide(name, recipe, expected, ink):
    observed, _ = seen(name, recipe)
    assert choose_response(luminance(with_signature(observed, *ink)), Run(Options()), KERNEL.astype(float)) == expected


def prepared(observed, **options):
    photograph, options = prepare(observed.copy()), Options(**options)
    return photograph, options, run_on(photograph, 1 / 255, options, CPU, Stopwatch(CPU), None)


@pytest.mark.parametrize(("given", "level"), [("linear", 1.0), ("srgb", SRGB.gamma), (1.8, 1.8)])
def test_a_given_curve_is_undone(given, level):
    observed, _ = seen("coffee", "light")
    photograph, options, run = prepared(observed, response=given, noise=0.01)
    light, other = in_light(photograph, 1 / 255, options, run)
    assert light.response.gamma == other.response.gamma == level
    np.testing.assert_allclose(light.in_image(light.planes.copy()), observed, atol=1e-5)
    assert other.options.noise == pytest.approx(0.01 * light.response.mean_slope(observed), rel=0.05)


@pytest.mark.parametrize("blur", [None, MotionBlur(np.zeros((264, 304, 2), np.float32))])
def test_without_a_kernel_nothing_is_decided(blur):
    observed, _ = seen("coffee", "light")
    photograph, options, run = prepared(observed)
    same, other = in_light(photograph, 1 / 255, options, run, blur)
    assert same is photograph
    assert other is run


def test_the_kernel_decides():
    observed, _ = seen("coffee", "light")
    photograph, options, run = prepared(observed)
    light, other = in_light(photograph, 1 / 255, options, run, KernelBlur(KERNEL))
    assert light.response == other.response == SRGB
    assert other.saturated == pytest.approx(0.9555, abs=1e-3)
