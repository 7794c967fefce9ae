from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime import tiles
from runtime.deconvolution.uniform import deconvolve_uniform
from runtime.quality import LEVELS
from runtime.tiles import CORE, split


@given(length=st.integers(1, 12 * CORE), reach=st.integers(0, 200))
def test_the_weights_add_up_to_one(length, reach):
    total = np.zeros(length, np.float32)
    for span in split(length, reach):
        total[span.start : span.stop] += span.weights(length, total)
    np.testing.assert_allclose(total, 1, atol=1e-5)


@given(length=st.integers(1, 12 * CORE), reach=st.integers(0, 200))
def test_what_is_left_to_later_spans_is_known(length, reach):
    rest = np.ones(length, np.float32)
    for span in split(length, reach):
        inside = slice(span.start, span.stop)
        rest[inside] -= span.weights(length, rest)
        np.testing.assert_allclose(span.later(length, rest), rest[inside], atol=1e-5)


@given(length=st.integers(1, 12 * CORE), reach=st.integers(0, 200))
def test_spans_reach_beyond_their_seams_and_not_beyond_the_image(length, reach):
    spans = split(length, reach)
    assert spans[0].start == 0
    assert spans[-1].stop == length
    for left, right in pairwise(spans):
        assert left.last == right.first
        assert left.stop == min(length, left.last + max(reach, tiles.FADE))
        assert right.start == max(0, right.first - max(reach, tiles.FADE))
    assert max(span.last - span.first for span in spans) < 1.5 * CORE + 1


def test_tiles_do_not_show(monkeypatch, make_scene, shake, psnr):
    scene = make_scene(shake, noise=0.005, shape=(150, 200))
    whole = deconvolve_uniform(scene.observed[None], shake, LEVELS["fast"].deconvolution, noise=0.005)[0]
    monkeypatch.setattr(tiles, "CORE", 70)
    tiled = deconvolve_uniform(scene.observed[None], shake, LEVELS["fast"].deconvolution, noise=0.005)[0]
    assert np.abs(tiled - whole).max() > 0
    seams = [slice(75 - 10, 75 + 10), slice(67 - 10, 67 + 10), slice(133 - 10, 133 + 10)]
    errors = np.abs(tiled - scene.latent)
    elsewhere = errors[16:-16, 16:-16].mean()
    for at_seam in (errors[seams[0]], errors[:, seams[1]], errors[:, seams[2]]):
        assert at_seam.mean() < 1.3 * elsewhere
    assert psnr(tiled, scene.latent) > psnr(whole, scene.latent) - 0.3
