"""The same photograph comes back the same to the last bit: a search turns on the last digits.

So it does with another number of cores and threads.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage.data import rocket

import runtime
from bench.data.photographs import shake_kernel

SCRIPT = """
import hashlib
import os
import sys

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
import numpy as np
from scipy.signal import fftconvolve
from skimage.data import camera
import runtime

sharp = (camera()[40:200, 60:250] / 255).astype(np.float32)
kernel = np.zeros((9, 9), np.float32)
kernel[np.arange(9), np.arange(9) // 2 + 2] = 1 / 9
blurred = fftconvolve(sharp, kernel, "valid") + np.random.default_rng(0).normal(0, 0.01, (152, 182))
result = runtime.Deblurrer(device="cpu").restore(blurred.astype(np.float32), quality="fast")
assert result.reason is None
print(hashlib.md5(result.image.tobytes()).hexdigest())
"""


def photograph():
    """So large that half spectra take more than 256 kB, from which NumPy reuses the memory of temporary arrays."""
    kernel = shake_kernel(21)
    blurred = np.stack([fftconvolve(plane, kernel, "same") for plane in np.moveaxis(rocket() / 255, -1, 0)], axis=-1)
    return (blurred + np.random.default_rng(0).normal(0, 0.01, blurred.shape)).clip(0, 1).astype(np.float32)


def test_a_photograph_is_restored_alike_each_time():
    observed, deblurrer = photograph(), runtime.Deblurrer(device="cpu")
    first, second = (deblurrer.restore(observed, quality="fast") for _ in range(2))
    assert first.reason is second.reason is None
    np.testing.assert_array_equal(first.image, second.image)


def restored(threads):
    """Return what identifies a restoration by so many threads of each library, and on so many cores if there are."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", SCRIPT, str(threads)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are not bound to cores here")
def test_the_number_of_threads_changes_nothing():
    assert restored(1) == restored(2)
