"""One fixture over all faces of the kernels, so that one test body runs on each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import kernels.cpu.fourier
import kernels.cpu.patches
import kernels.cuda.fourier
import kernels.cuda.patches
import kernels.fourier
import kernels.patches
from kernels.cuda import _module
from tests.kernels.cuda_emulator import MISSING_COMPILER, emulated_module


@dataclass(frozen=True)
class Face:
    """The modules under test, and how arrays get to them and back."""

    patches: Any
    fourier: Any
    put: Any
    get: Any


@pytest.fixture(
    scope="module",
    params=[
        "cpu",
        pytest.param(
            "cuda-on-host", marks=pytest.mark.skipif(MISSING_COMPILER is not None, reason=str(MISSING_COMPILER))
        ),
        pytest.param("cuda", marks=pytest.mark.gpu),
    ],
)
def face(request):
    """The CPU face and the CUDA face through the public functions, and the CUDA face emulated on the host."""
    if request.param == "cuda":
        import cupy

        yield Face(kernels.patches, kernels.fourier, cupy.asarray, cupy.asnumpy)
    elif request.param == "cpu":
        yield Face(kernels.patches, kernels.fourier, np.array, np.asarray)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_module, "_module", emulated_module)
            yield Face(kernels.cuda.patches, kernels.cuda.fourier, np.array, np.asarray)
