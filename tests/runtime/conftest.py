import numpy as np
import pytest

from runtime.burst import engine as burst_engine
from runtime.inference import patch_engine
from tests.support import cuda_stand_in
from tests.support.cuda_emulator import MISSING_COMPILER
from tests.support.photographs import blur, blurred, kernel, sharp  # noqa: F401
from tests.support.scenes import make_scene, psnr, scene, shake  # noqa: F401


@pytest.fixture
def rng():
    return np.random.default_rng(20160801)


@pytest.fixture
def stand_in(monkeypatch):
    """CuPy and CUDA sessions without a GPU, see `tests.support.cuda_stand_in`; gives what that counts."""
    if MISSING_COMPILER is not None:
        pytest.skip(MISSING_COMPILER)
    for engine in (patch_engine, burst_engine):
        monkeypatch.setattr(engine, "CUDA_BATCH", 64)
    yield cuda_stand_in.install(monkeypatch)
    cuda_stand_in.forget()
