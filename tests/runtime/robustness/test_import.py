import subprocess
import sys

import pytest

import runtime

HEAVY = ("torch", "cupy", "onnxruntime", "numba", "scipy", "cv2", "PIL")


def fresh(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_importing_the_package_loads_nothing_heavy():
    loaded = fresh(f"import sys, runtime; print(*[name for name in {HEAVY} if name in sys.modules])")
    assert loaded.split() == []


def test_every_public_name_can_be_had():
    for name in runtime.__all__:
        assert getattr(runtime, name) is not None
    assert set(runtime.__all__) <= set(dir(runtime))
    with pytest.raises(AttributeError, match="no attribute 'sharpen'"):
        _ = runtime.sharpen


def test_deblurring_never_loads_torch():
    script = (
        "import sys, numpy, runtime; runtime.deconvolve(numpy.full((40, 40), .5, 'f4'), [[1.0]], device='cpu'); "
        "print('torch' in sys.modules)"
    )
    assert fresh(script).strip() == "False"
