import numpy as np
import pytest

from bench.speed.transforms import plane_there_and_back, plane_there_and_back_in_double, transform_there_and_back


@pytest.mark.parametrize(
    "there_and_back", [plane_there_and_back, plane_there_and_back_in_double, transform_there_and_back]
)
def test_what_is_transformed_there_and_back_is_as_before(there_and_back):
    plane = np.random.default_rng(0).random((12, 15), np.float32)
    found = there_and_back(plane)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plane, atol=1e-5)
