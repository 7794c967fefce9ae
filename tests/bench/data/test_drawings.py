import numpy as np
import pytest

from bench.data.drawings import DRAWINGS, HEIGHT, NOISE, WIDTH, flat, noisy


@pytest.mark.parametrize("name", list(DRAWINGS))
def test_every_drawing_is_a_plane_and_always_the_same(name):
    plane = DRAWINGS[name]()
    assert plane.shape == (HEIGHT, WIDTH)
    assert plane.dtype == np.float32
    assert plane.min() >= 0
    assert plane.max() <= 1
    np.testing.assert_array_equal(plane, DRAWINGS[name]())


def test_drawings_show_what_they_are_called():
    planes = {name: draw() for name, draw in DRAWINGS.items()}
    assert np.ptp(planes["flat"]) == 0
    assert np.abs(np.diff(planes["gradient"], axis=1)).max() < 0.01
    assert np.all(np.diff(planes["gradient"], axis=1) > 0)
    for name in ("text", "line_drawing"):
        assert np.median(planes[name]) == 1
        assert planes[name].min() < 0.1
        assert 0.005 < np.mean(planes[name] < 0.5) < 0.2
        # From ink to paper within two pixels: sharp.
        assert np.abs(planes[name][:, 2:] - planes[name][:, :-2]).max() > 0.9
    assert np.median(planes["night_sky"]) < 0.05
    assert planes["night_sky"].max() == 1
    assert abs(np.corrcoef(planes["white_noise"][:, 1:].ravel(), planes["white_noise"][:, :-1].ravel())[0, 1]) < 0.02


def test_noise_is_as_strong_as_said():
    assert np.std(noisy(flat)) == pytest.approx(NOISE, rel=0.02)
    assert noisy(lambda: np.ones((HEIGHT, WIDTH), np.float32)).max() == 1
