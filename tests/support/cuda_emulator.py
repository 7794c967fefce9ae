"""Runs the kernels of the `.cu` files on the host: same sources, same launches, NumPy arrays instead of CuPy's.

The host compiler sees the source behind a header that supplies `threadIdx` and its like, so that all index
arithmetic is executed as written. Every array is handed over between guard zones, NaN before and after it: a
read outside of it spoils the result, a write outside of it is reported.
"""

import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from kernels.cuda import _module

MISSING_COMPILER = None if shutil.which("g++") else "needs g++ to run CUDA sources on the host"

_KERNEL = re.compile(r'extern "C" __global__ void (\w+)\((.*?)\)\s*{(.*?)\n}', re.DOTALL)
_GUARD = 256
_UNTOUCHED = bytes([0xFF]) * _GUARD


@cache
def emulated_module(family):
    """Stand in for `kernels.cuda._module._module`."""
    return _EmulatedModule(family)


class _EmulatedModule:
    def __init__(self, family):
        source = _module.source(family)
        kernels = _KERNEL.findall(source)
        self._parameters = {name: _split(parameters) for name, parameters, _ in kernels}
        self._library = _compile(source, kernels)

    def get_function(self, name):
        entry = getattr(self._library, f"host_{name}")
        entry.restype = ctypes.c_bool
        parameters = self._parameters[name]

        def run(grid, block, arguments, shared_mem):
            assert len(arguments) == len(parameters), f"{name} takes {len(parameters)} arguments"
            assert np.prod(block) <= 1024
            assert all(size <= 65535 for size in grid[1:])
            guarded = [_Guarded(*pair) for pair in zip(parameters, arguments, strict=True)]
            assert shared_mem <= _module.SHARED_BYTES
            within = entry(_three(grid), _three(block), shared_mem, *(argument.value for argument in guarded))
            assert within, f"{name} wrote beyond its {shared_mem} bytes of shared memory"
            for argument in guarded:
                argument.finish()

        return run


class _Guarded:
    """One argument, checked against the type that the kernel declares."""

    def __init__(self, parameter, argument):
        self._parameter = parameter
        if parameter.startswith("int "):
            assert type(argument) is np.int32, parameter
            self._array, self.value = None, ctypes.c_int(argument)
            return
        if parameter.startswith("float "):
            assert type(argument) is np.float32, parameter
            self._array, self.value = None, ctypes.c_float(argument)
            return
        dtype = {"float": np.float32, "int": np.int32, "bool": np.bool_, "float2": np.complex64}[
            re.fullmatch(r"(?:const )?(\w+)\* .*", parameter)[1]
        ]
        assert argument.dtype == dtype, parameter
        assert argument.flags.c_contiguous, parameter
        self._array = argument
        self._memory = np.empty(argument.nbytes + 2 * _GUARD, np.uint8)
        self._memory[:_GUARD] = self._memory[-_GUARD:] = 0xFF
        self._inside = self._memory[_GUARD:-_GUARD]
        self._inside[:] = argument.reshape(-1).view(np.uint8)
        self.value = ctypes.c_void_p(self._inside.ctypes.data)

    def finish(self):
        if self._array is None:
            return
        for guard in (self._memory[:_GUARD], self._memory[-_GUARD:]):
            assert guard.tobytes() == _UNTOUCHED, f"wrote outside of {self._parameter}"
        if self._parameter.startswith("const "):
            assert self._inside.tobytes() == self._array.tobytes(), f"wrote to {self._parameter}"
        else:
            self._array[...] = self._inside.view(self._array.dtype).reshape(self._array.shape)


def _split(parameters):
    """Split a parameter list into one normalised string per parameter."""
    return [" ".join(part.replace("__restrict__", "").split()) for part in parameters.split(",")]


def _three(sizes):
    return (ctypes.c_uint * 3)(*sizes, *[1] * (3 - len(sizes)))


def _compile(source, kernels):
    entries = []
    for name, parameters, body in kernels:
        names = ", ".join(parameter.split()[-1] for parameter in _split(parameters))
        cooperative = "true" if "__shared__" in body else "false"
        entries.append(
            f'extern "C" bool host_{name}(const unsigned* grid, const unsigned* block, unsigned shared_bytes, '
            f"{parameters})\n"
            f"{{ return run_on_host<{cooperative}>(grid, block, shared_bytes, [&] {{ {name}({names}); }}); }}\n"
        )
    header = Path(__file__).with_name("cuda_on_host.h").read_text(encoding="utf-8")
    text = "\n".join([header, source, *entries])
    command = [
        "g++",
        "-std=c++17",
        "-O1",
        "-Wall",
        "-Werror",
        "-Wno-unknown-pragmas",
        # The checks of jumps know of one stack only.
        "-U_FORTIFY_SOURCE",
        "-fPIC",
        "-shared",
        # Kernels may have the names of functions in other libraries of the process.
        "-Wl,-Bsymbolic",
    ]
    # Processes that run tests side by side, and the next run, share what one has compiled.
    digest = hashlib.sha256(" ".join([*command, text]).encode()).hexdigest()
    folder = Path(__file__).with_name("__pycache__")
    folder.mkdir(exist_ok=True)
    library = folder / f"cuda_on_host-{digest}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            unit, made = Path(scratch, "kernels.cpp"), Path(scratch, "kernels.so")
            unit.write_text(text, encoding="utf-8")
            subprocess.run([*command, "-o", str(made), str(unit)], check=True)
            made.replace(library)
    return ctypes.CDLL(str(library))
