"""One fixture over all faces of the kernels, so that one test body runs on each."""

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest

from kernels.cuda import _module
from tests.kernels.test_faces import FAMILIES
from tests.support.cuda_emulator import MISSING_COMPILER, emulated_module


def _face(package, put, get):
    """The modules under test, by family, and how arrays get to them and back."""
    modules = {family: import_module(f"{package}.{family}") for family in FAMILIES}
    return SimpleNamespace(**modules, put=put, get=get)


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

        yield _face("kernels", cupy.asarray, cupy.asnumpy)
    elif request.param == "cpu":
        yield _face("kernels", np.array, np.asarray)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_module, "_module", emulated_module)
            yield _face("kernels.cuda", np.array, np.asarray)
