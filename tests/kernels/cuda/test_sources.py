"""The CUDA sources compile for every architecture, by the compiler that CuPy uses; no GPU is needed."""

import ctypes
import re
from importlib.metadata import files
from pathlib import Path

import pytest

from kernels.cuda import _module

FAMILIES = sorted(path.stem for path in Path(_module.__file__).parent.glob("*.cu"))
ARCHITECTURES = re.findall(r"code=(sm_\d+)", " ".join(_module.BINARY_OPTIONS))


def _crowded():
    """A source with a kernel that has no registers for all that it holds."""
    sums = range(99)
    body = "".join(f"float s{n} = x[{n}];" for n in sums)
    body += f"for (int i = 0; i < count; ++i) {{ {''.join(f's{n} = s{n} * s{(n + 7) % 99} + i;' for n in sums)} }}"
    body += "".join(f"x[{n}] = s{n};" for n in sums)
    return f'extern "C" __global__ void __launch_bounds__(1024, 2) crowded(float* x, int count) {{ {body} }}'


CROWDED = _crowded()


@pytest.fixture(scope="module")
def nvrtc():
    (library,) = (path for path in files("nvidia-cuda-nvrtc") if path.name.startswith("libnvrtc.so"))
    return ctypes.CDLL(str(library.locate()))


def compile_for(nvrtc, source, architecture):
    """Return the compiler's status (0 is success), its log, and the size of the binary in bytes."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    # A register that does not fit is a warning, and so fails a test.
    checks = f"--gpu-architecture={architecture}", "--ptxas-options=--warn-on-spills"
    options = [option.encode() for option in (*_module.OPTIONS, *checks)]
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    try:
        status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        return status, log.value.decode(), size.value
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_source_compiles_without_a_warning(nvrtc, family, architecture):
    status, log, size = compile_for(nvrtc, _module.source(family), architecture)
    assert (status, log) == (0, "")
    assert size > 1000


def test_an_error_would_be_seen(nvrtc):
    status, log, _ = compile_for(nvrtc, "__global__ void broken() { undeclared = 1; }", "sm_90")
    assert status != 0
    assert "undeclared" in log


def test_registers_that_spill_would_be_seen(nvrtc):
    assert "spilled" in compile_for(nvrtc, CROWDED, "sm_90")[1]
