import numpy as np
import pytest

from bench.fuzz.inputs import values

MAKERS = (values.image, values.hostile_image, values.kernel, values.hostile_kernel, values.motion((9, 8)),
          values.hostile_motion, values.hostile)  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
def test_values_are_of_many_kinds_and_made_again_from_the_seed(maker):
    made = [maker(np.random.default_rng(seed)) for seed in range(60)]
    again = [maker(np.random.default_rng(seed)) for seed in range(60)]
    assert [type(value) for value in made] == [type(value) for value in again]
    assert len({repr(value) for value in made}) > 15


def test_usual_values_are_what_the_functions_take():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        image, kernel = values.image(rng), values.kernel(rng)
        assert image.dtype.name in ("uint8", "uint16", "float16", "float32", "float64")
        assert min(image.shape[:2]) >= 16
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1)
        assert values.motion(image.shape)(rng).shape == (*image.shape[:2], 2)
