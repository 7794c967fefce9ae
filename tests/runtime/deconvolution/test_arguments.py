import numpy as np
import pytest

from runtime.deconvolution.arguments import check_planes_and
from runtime.errors import InvalidImage, UnsupportedType

PLANES = np.full((3, 8, 9), 0.5, np.float32)
KERNEL = np.full((3, 3), 1 / 9, np.float32)


@pytest.mark.parametrize("name", ["kernel", "motion"])
def test_finite_float32_arrays_on_one_device_pass(name):
    check_planes_and(name, PLANES, KERNEL)


@pytest.mark.parametrize(
    ("planes", "other", "error", "message"),
    [
        (PLANES.tolist(), KERNEL, UnsupportedType, "planes and kernel must be NumPy or CuPy arrays"),
        (PLANES, KERNEL.tolist(), UnsupportedType, "planes and kernel must be NumPy or CuPy arrays"),
        (PLANES.astype(np.float64), KERNEL, UnsupportedType, "planes are float64 .* convert both to float32"),
        (PLANES, KERNEL.astype(np.float16), UnsupportedType, "the kernel is float16; convert both to float32"),
        (PLANES[0], KERNEL, InvalidImage, "give a .C, H, W. array"),
        (PLANES[:, :0], KERNEL, InvalidImage, "at least one pixel"),
        (np.full_like(PLANES, np.nan), KERNEL, InvalidImage, "NaN or infinity; replace these pixels"),
        (np.full_like(PLANES, np.inf), KERNEL, InvalidImage, "NaN or infinity; replace these pixels"),
    ],
)
def test_others_are_refused_with_the_remedy(planes, other, error, message):
    with pytest.raises(error, match=message):
        check_planes_and("kernel", planes, other)
