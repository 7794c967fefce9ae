import numpy as np
import pytest

from bench.data.camera import RECIPES, light, lights, phone, plain
from bench.data.photographs import shake_kernel
from runtime.response import SRGB

KERNEL = shake_kernel(9).astype(np.float32)
POINT = np.ones((1, 1), np.float32)


@pytest.fixture(scope="module")
def sharp():
    from skimage import data

    return data.astronaut()[40:140, 180:300].astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("grey", [False, True])
def test_both_photographs_are_cropped_alike(name, grey, sharp):
    image = np.ascontiguousarray(sharp[..., 0]) if grey else sharp
    observed, truth = RECIPES[name](image, KERNEL, (1,))
    assert observed.shape == truth.shape == (92, 112, *image.shape[2:])
    assert observed.dtype == truth.dtype == np.float32
    again, _ = RECIPES[name](image, KERNEL, (1,))
    np.testing.assert_array_equal(observed, again)
    assert not np.array_equal(observed, RECIPES[name](image, KERNEL, (2,))[0])


@pytest.mark.parametrize("name", RECIPES)
def test_without_a_blur_only_noise_and_storage_are_left(name, sharp):
    observed, truth = RECIPES[name](sharp, POINT, (1,))
    assert np.abs(observed - truth).mean() < 0.03


def test_light_is_blurred_and_not_stored_values(sharp):
    observed, _ = light(sharp, KERNEL, (1,))
    mean = SRGB.to_light(sharp).mean()
    assert SRGB.to_light(observed).mean() == pytest.approx(mean, rel=0.03)
    assert plain(sharp, KERNEL, (1,))[0].mean() == pytest.approx(sharp.mean(), rel=0.03)
    assert observed.mean() > plain(sharp, KERNEL, (1,))[0].mean()


def test_highlights_clip_and_spread(sharp):
    (observed, truth), (usual, _) = lights(sharp, KERNEL, (1,)), light(sharp, KERNEL, (1,))
    assert (observed >= 1).mean() > (usual >= 1).mean()
    assert (truth >= sharp[4:-4, 4:-4] - 1e-6).all()
    assert truth.max() <= 1


def test_a_phone_halves_the_noise_of_colours(sharp):
    # At half the resolution and quantised, colour differences of neighbouring pixels hardly differ.
    difference = [
        each[..., 0] - each[..., 2] for each in (phone(sharp, KERNEL, (1,))[0], light(sharp, KERNEL, (1,))[0])
    ]
    steps = [np.abs(np.diff(each, axis=1)).mean() for each in difference]
    assert steps[0] < 0.8 * steps[1]
