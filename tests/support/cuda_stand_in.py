"""A stand-in for CuPy that needs no GPU: NumPy arrays under the rules of a device.

What CuPy refuses is refused: NumPy and device arrays in one operation, and copies to the host that nobody asked for.
Functions exist where the real CuPy has them, and their arguments must fit its signatures. Transfers and waits are
counted. Kernels are those of `kernels/cuda/*.cu`, run on the host; so are networks, bound to the arrays' addresses.
Graphs are captured and launched as `tests.support.cuda_streams` says.
"""

import inspect
import operator
import sys
from functools import cache, partial
from types import ModuleType, SimpleNamespace

import numpy as np
import scipy.fft

from tests.support.bound_on_host import BoundOnHost
from tests.support.cuda_emulator import emulated_module
from tests.support.cuda_streams import (
    CUDARuntimeError,
    Device,
    Event,
    MemoryPool,
    OutOfMemoryError,
    PlanCache,
    Stream,
    captured,
    current_stream,
    not_captured,
    using_allocator,
    wait,
)
from tests.support.traffic import traffic

try:
    import cupy as _real
    import cupyx.scipy.fft as _real_fft
except ImportError:
    _real = _real_fft = None

MEMORY = 8 << 30


class ndarray:
    """A device array: all of NumPy's that the project uses, and nothing implicit."""

    __hash__ = None
    __array_priority__ = 100

    def __init__(self, array):
        self.array = np.asarray(array)

    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: self.array.dtype)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    nbytes = property(lambda self: self.array.nbytes)
    strides = property(lambda self: self.array.strides)
    flags = property(lambda self: SimpleNamespace(c_contiguous=self.array.flags.c_contiguous))
    T = property(lambda self: ndarray(self.array.T))
    real = property(lambda self: ndarray(self.array.real))
    imag = property(lambda self: ndarray(self.array.imag))
    data = property(lambda self: SimpleNamespace(ptr=self.array.ctypes.data))
    device = property(lambda self: Device(0))

    def get(self):
        wait("get")
        traffic.downloads.append(self.nbytes)
        return self.array.copy()

    def __getitem__(self, key):
        if any(isinstance(part, ndarray) and part.dtype == bool for part in (key if isinstance(key, tuple) else [key])):
            wait("selection by a mask")
        place = _unwrap(key)
        if any(isinstance(part, ndarray) for part in (key if isinstance(key, tuple) else [key])):
            return _launched(lambda: self.array[place])
        if all(isinstance(part, (int, np.integer)) for part in (place if isinstance(place, tuple) else [place])):
            place = (*place, ...) if isinstance(place, tuple) else (place, ...)  # A view of one value, too.
        return _wrap(self.array[place])

    def __setitem__(self, key, value):
        place, value = _unwrap(key), _unwrap(value)
        _launched(lambda: operator.setitem(self.array, place, value))

    def __len__(self):
        return len(self.array)

    def __iter__(self):
        return (self[number] for number in range(len(self)))

    def __array__(self, *arguments, **options):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_function__(self, function, types, arguments, options):
        raise TypeError(f"numpy.{function.__name__} of a device array")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        assert method == "__call__", method
        inputs, options = _unwrap(inputs), {name: _unwrap(value) for name, value in options.items()}
        return _launched(lambda: ufunc(*inputs, **options))


def _launched(compute):
    """Do an operation, and note it for a graph, which does it again and puts what comes of it into the same arrays."""
    result = _wrap(compute())
    if captured() is None:
        traffic.launch()
    else:
        captured().append(lambda: _store(result, compute()))
    return result


def _viewed(compute, source):
    """Return a view, which is no operation, unless NumPy has to copy for it."""
    result = _wrap(compute())
    if captured() is not None and isinstance(result, ndarray) and not np.may_share_memory(result.array, source):
        captured().append(lambda: _store(result, compute()))
    return result


def _store(result, values):
    if isinstance(result, ndarray):
        result.array[...] = values
    elif isinstance(result, (list, tuple)):
        for each, value in zip(result, values, strict=True):
            _store(each, value)


VIEWS = {
    *("array_split", "broadcast_to", "empty", "empty_like", "expand_dims", "moveaxis", "ravel", "reshape", "split"),
    *("squeeze", "swapaxes", "transpose", "view"),
}
"""What launches nothing."""


def _method(name, self, *arguments, **options):
    arguments = _unwrap(arguments)

    def compute():
        return getattr(self.array, name)(*arguments, **options)

    return _viewed(compute, self.array) if name in VIEWS else _launched(compute)


def _number(convert, self):
    wait(convert.__name__)
    return convert(self.array)


def _operation(name, self, *others):
    if name == "__matmul__":
        not_captured("a product of matrices, by cuBLAS")
    others = _unwrap(others)
    if name.startswith("__i") and name != "__invert__":

        def in_place():
            self.array = getattr(operator, name)(self.array, *others)

        _launched(in_place)
        return self
    return _launched(lambda: getattr(operator, name)(self.array, *others))


def _reflected(name, self, other):
    other = _unwrap(other)
    return _launched(lambda: getattr(operator, name)(other, self.array))


def _give(name, function):
    setattr(ndarray, name, lambda self, *arguments, **options: function(self, *arguments, **options))


for _name in (
    *("all", "any", "argmax", "argmin", "astype", "conj", "copy", "cumsum", "fill", "max", "mean", "min"),
    *("ravel", "repeat", "reshape", "squeeze", "std", "sum", "transpose", "var", "view"),
):
    _give(_name, partial(_method, _name))
for _name, _convert in {"float": float, "int": int, "bool": bool, "index": operator.index, "complex": complex}.items():
    _give(f"__{_name}__", partial(_number, _convert))
_give("item", partial(_number, np.ndarray.item))
_give("tolist", partial(_number, np.ndarray.tolist))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
    _give(f"__{_name}__", partial(_operation, f"__{_name}__"))
    _give(f"__r{_name}__", partial(_reflected, f"__{_name}__"))
    _give(f"__i{_name}__", partial(_operation, f"__i{_name}__"))
for _name in ("neg", "pos", "abs", "invert", "lt", "le", "gt", "ge", "eq", "ne"):
    _give(f"__{_name}__", partial(_operation, f"__{_name}__"))


def _wrap(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(value)
    return type(value)(map(_wrap, value)) if type(value) in (list, tuple) else value


def _unwrap(value):
    if isinstance(value, ndarray):
        return value.array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, slice):
        return slice(*map(_unwrap, (value.start, value.stop, value.step)))
    return type(value)(map(_unwrap, value)) if type(value) in (list, tuple) else value


WAITING = ("flatnonzero", "nonzero", "argwhere", "unique", "quantile", "percentile")
"""Functions for which CuPy waits."""

NOT_CAPTURED = {
    "argsort",
    "concatenate",
    "dot",
    "hstack",
    "matmul",
    "partition",
    "sort",
    "stack",
    "tensordot",
    "vstack",
}
"""Functions that may wait or copy from the host inside of CuPy or a library."""


_signature = cache(inspect.signature)


def _function(name, host, real):
    """Wrap a function of NumPy or SciPy as CuPy's."""

    def call(*arguments, **options):
        if real is not None and not isinstance(host, np.ufunc):
            _signature(real).bind(*arguments, **options)
        if name in WAITING:
            wait(name)
        if name in NOT_CAPTURED:
            not_captured(name)
        if name == "interp" and not arguments[0].flags.c_contiguous:
            raise NotImplementedError("Non-C-contiguous x is currently not supported")
        arguments, options = _unwrap(arguments), {key: _unwrap(value) for key, value in options.items()}

        def compute():
            return host(*arguments, **options)

        if name.startswith("empty"):
            return _wrap(compute())
        return _viewed(compute, arguments[0]) if name in VIEWS else _launched(compute)

    def at(*arguments):
        arguments = _unwrap(arguments)
        _launched(lambda: host.at(*arguments))

    if hasattr(host, "at"):
        call.at = at
    return call


class _Namespace(ModuleType):
    """The functions of a module of NumPy or SciPy that CuPy has too."""

    def __init__(self, name, host, real):
        super().__init__(name)
        self._host, self._real = host, real

    def __getattr__(self, name):
        if name.startswith("__") or (self._real is not None and not hasattr(self._real, name)):
            raise AttributeError(f"CuPy has no {self.__name__}.{name}")
        value = getattr(self._host, name)
        if not callable(value) or isinstance(value, type):
            return value
        return _function(name, value, None if self._real is None else getattr(self._real, name))


def _counted(transform):
    def call(*arguments, **options):
        traffic.transforms += captured() is None
        return transform(*arguments, **options)

    return call


def _where_complex_numbers_may_begin(transform):
    """Refuse planes that begin elsewhere, as cuFFT does."""

    def call(planes, *arguments, **options):
        if planes.data.ptr % (2 * planes.dtype.itemsize):
            raise RuntimeError("CUFFT_INVALID_VALUE")
        return transform(planes, *arguments, **options)

    return call


def _upload(convert):
    def call(value, dtype=None):
        if isinstance(value, ndarray):
            return _viewed(lambda: convert(value.array, dtype), value.array)
        not_captured("a copy from the host")
        parts = _unwrap(value) if isinstance(value, list) else value
        if not (isinstance(value, list) and value and isinstance(value[0], ndarray)):
            assert np.asarray(parts).dtype.isnative
            traffic.uploads.append(np.asarray(parts).nbytes)
        return ndarray(np.array(convert(parts, dtype)))

    return call


def make_modules():
    """Return the modules that stand in, by the names under which they are imported."""
    cupy = _Namespace("cupy", np, _real)
    cupy.__version__ = "0"
    cupy.ndarray = ndarray
    cupy.asarray, cupy.array = _upload(np.asarray), _upload(np.array)
    cupy.ascontiguousarray = _upload(np.ascontiguousarray)
    cupy.asnumpy = lambda array: array.get() if isinstance(array, ndarray) else np.asarray(array)
    cupy.fft = _Namespace("cupy.fft", np.fft, _real and _real.fft)
    cupy.fft.config = SimpleNamespace(get_plan_cache=PlanCache)
    cupy.get_default_memory_pool = MemoryPool
    cupy.cuda = ModuleType("cupy.cuda")
    cupy.cuda.Stream, cupy.cuda.Event, cupy.cuda.Device = Stream, Event, Device
    cupy.cuda.MemoryPool, cupy.cuda.using_allocator = MemoryPool, using_allocator
    cupy.cuda.get_current_stream = current_stream
    cupy.cuda.get_elapsed_time = lambda start, stop: 1e3 * (stop.time - start.time)
    cupy.cuda.memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
    cupy.cuda.runtime = SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=lambda: 1,
        memGetInfo=lambda: (MEMORY // 2, MEMORY),
        getDeviceProperties=lambda number: {"name": b"Stand-in", "major": 9, "minor": 0},
        driverGetVersion=lambda: 13000,
    )
    cupyx, cupyx_scipy = ModuleType("cupyx"), ModuleType("cupyx.scipy")
    cupyx.scipy, cupyx_scipy.fft = cupyx_scipy, _Namespace("cupyx.scipy.fft", scipy.fft, _real_fft)
    cupyx_scipy.fft.rfft2 = _counted(_where_complex_numbers_may_begin(cupyx_scipy.fft.rfft2))
    cupyx_scipy.fft.irfft2 = _counted(cupyx_scipy.fft.irfft2)
    return {"cupy": cupy, "cupyx": cupyx, "cupyx.scipy": cupyx_scipy, "cupyx.scipy.fft": cupyx_scipy.fft}


class KernelModule:
    """The kernels of one `.cu` file, for device arrays; what `kernels.cuda._module._module` returns."""

    def __init__(self, family):
        self._family = family

    def get_function(self, name):
        run = emulated_module(self._family).get_function(name)

        def launch(grid, block, arguments, shared_mem=0):
            assert not any(isinstance(argument, np.ndarray) for argument in arguments), "a host array for a kernel"
            arguments = [_unwrap(argument) for argument in arguments]
            _launched(lambda: run(grid, block, arguments, shared_mem=shared_mem))

        return launch


def install(patch):
    """Let the stand-in take the place of CuPy and of ONNX Runtime on CUDA until `patch` is undone."""
    from kernels.cuda import _module
    from runtime.inference import devices, session

    for name, module in make_modules().items():
        patch.setitem(sys.modules, name, module)
    create = session.create_session

    def create_bound(part, precision, device):
        made = create(part, precision, devices.CPU)
        return BoundOnHost(made) if device.is_cuda else made

    patch.setattr(session, "create_session", create_bound)
    patch.setattr(session, "_cache", {})
    patch.setattr(devices, "cuda_problem", lambda index=0: None)
    patch.setattr(_module, "_module", KernelModule)
    forget()
    return traffic


def forget():
    """Forget what was counted, and every array that a cache holds."""
    from kernels import device_tables
    from kernels.cuda import graphs
    from runtime import api
    from runtime.inference import devices
    from runtime.restoration import repair, uniformity

    device_tables._owned.clear()
    graphs._recorders.clear()
    loaded = repair.load_repairer, uniformity.load_uniformity_check, api._deblurrer
    for cached in (device_tables._copies, devices._stream, devices._automatic, *loaded):
        cached.cache_clear()
    traffic.clear()
