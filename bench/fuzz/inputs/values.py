"""Values for arguments: usual ones, and hostile ones of every type that a caller may pass by mistake."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.fuzz.inputs.mutations import pick

Maker = Callable[[np.random.Generator], Any]

_DTYPES = ("uint8", "uint16", "float16", "float32", "float64")
"""Dtypes of images."""
_FOREIGN = (
    ">u2", ">f4", "int8", "int16", "int32", "int64", "uint32", "uint64", "bool", "complex64", "longdouble", "O", "U3",
    "datetime64[s]",
)  # fmt: skip
"""Dtypes that no image has, or has in another byte order."""
_SHAPES = (
    (), (0,), (5,), (0, 5), (5, 0, 3), (1, 1), (1, 1, 3), (1, 40), (40, 1, 3), (2, 3), (9, 9, 5), (3, 9, 9),
    (4, 4, 3, 2), (7, 300), (65, 65, 0),
)  # fmt: skip
_SCALES = (1e-45, 1e-38, 1e-20, 1e-6, 255.0, 4096.0, 1e5, 1e15, 1e25, 3e38, -1.0)


def image(rng: np.random.Generator, shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
    """Return a picture of any dtype and number of channels, of 16 to 40 px."""
    if shape is None:
        shape = (int(rng.integers(16, 41)), int(rng.integers(16, 41)), *pick(rng, ((), (), (1,), (2,), (3,), (4,))))
    values = _smooth(rng, shape)
    dtype = pick(rng, _DTYPES)
    if dtype.startswith("u"):
        return np.asarray((values * np.iinfo(dtype).max).astype(dtype))
    return np.asarray(values.astype(dtype))


def hostile_image(rng: np.random.Generator) -> Any:
    """Return what is no usual picture: in dtype, shape, layout, values or type."""
    usual = image(rng)
    return pick(
        rng,
        (
            _of_dtype,
            lambda r: image(r, pick(r, _SHAPES)),
            lambda r: image(r, pick(r, _SHAPES)),
            lambda r: pick(r, (usual[::-1], usual[:, ::-2], usual[::3, 1:], np.asfortranarray(usual), usual.T)),
            lambda r: _read_only(usual),
            lambda r: np.broadcast_to(usual[:1], usual.shape),
            lambda r: _scaled(r, usual.shape),
            lambda r: _scaled(r, usual.shape),
            lambda r: _with_outliers(r, usual.shape),
            lambda r: np.full(usual.shape, pick(r, (0, 1)), usual.dtype),
            lambda r: np.ma.MaskedArray(usual, r.random(usual.shape) < pick(r, (0, 0.05, 0.9, 1))),
            lambda r: usual.tolist(),
            lambda r: memoryview(usual.tobytes()),
            _encoded,
            lambda r: hostile(r),
        ),
    )(rng)


def kernel(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return a blur kernel."""
    values = rng.random((int(rng.integers(1, 8)), int(rng.integers(1, 8)))) + 0.01
    return (values / values.sum()).astype(np.float32)


def hostile_kernel(rng: np.random.Generator) -> Any:
    """Return what is no kernel, or hardly one."""
    usual = kernel(rng)
    odd = (
        usual * 0, usual - 1, usual * 1e30, usual.astype(np.float64) * 1e300, usual * np.nan, usual.astype("O"),
        usual[None], usual[0], usual.tolist(), usual + 0j, np.ones((90, 90)), np.ones((0, 3)), np.float32(1),
        np.ma.MaskedArray(usual, usual > 0.1), usual[::-1, ::-1], usual.astype(">f8"), usual > 0,
        np.where(np.arange(usual.size).reshape(usual.shape) == 0, np.inf, usual),
    )  # fmt: skip
    return pick(rng, odd) if rng.random() < 0.8 else hostile(rng)


def motion(shape: tuple[int, ...]) -> Maker:
    """Return a maker of motion fields for an image of a shape."""

    def make(rng: np.random.Generator) -> npt.NDArray[np.float32]:
        lengths = rng.uniform(0, 12, (*shape[:2], 1)) if rng.random() < 0.3 else np.full((*shape[:2], 1), 5.0)
        return np.concatenate([lengths, np.full_like(lengths, rng.uniform(-400, 400))], axis=-1).astype(np.float32)

    return make


def hostile_motion(rng: np.random.Generator) -> Any:
    """Return what is no motion field."""
    usual = motion((20, 20))(rng)
    odd = (
        usual * np.nan, -usual, usual * 1e6, usual[..., :1], usual[:5], usual.tolist(), usual + 0j, usual.astype(int),
        usual[0],
    )  # fmt: skip
    return pick(rng, odd) if rng.random() < 0.7 else hostile(rng)


def hostile(rng: np.random.Generator) -> Any:
    """Return a value that is hardly ever meant."""
    return pick(rng, _ODD)()


_ODD: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: 0, lambda: -1, lambda: 1, lambda: 2**31, lambda: 2**70, lambda: -(2**63),
    lambda: 0.5, lambda: -0.0, lambda: 1e308, lambda: float("nan"), lambda: float("inf"), lambda: -float("inf"),
    lambda: 1j, lambda: "", lambda: "x", lambda: "fast", lambda: "cpu", lambda: "\0", lambda: "a\nb", lambda: "é" * 300,
    lambda: "\ud800", lambda: b"", lambda: b"x", lambda: b"\x89PNG\r\n\x1a\n", lambda: bytearray(b"abc"), lambda: (),
    lambda: [], lambda: [1, 2], lambda: [[1, 2], [3]], lambda: {}, lambda: {"a": 1}, lambda: set(), lambda: range(3),
    lambda: Path("nowhere"), lambda: Path("/"), lambda: Decimal("1.5"), lambda: Fraction(1, 3), lambda: object(),
    lambda: int, lambda: print, lambda: iter([1]), lambda: slice(3), lambda: ..., lambda: np.int64(3),
    lambda: np.float32(0.1), lambda: np.bool_(True), lambda: np.str_("fast"), lambda: np.array(3),
    lambda: np.array([0.1]), lambda: np.array([1, 2]), lambda: np.datetime64("2020"), lambda: np.ma.masked,
)  # fmt: skip


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return values in [0, 1] that look a little like a photograph along the first axis."""
    values = rng.random(shape)
    return np.asarray(np.clip(np.cumsum(values - 0.5, axis=0) / 4 + 0.5, 0, 1)) if values.ndim else values


def _of_dtype(rng: np.random.Generator) -> npt.NDArray[Any]:
    values = _smooth(rng, (20, 20)) * 100
    return values.astype("i8").astype(pick(rng, _FOREIGN))


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array


def _scaled(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    with np.errstate(over="ignore", under="ignore"):
        return (_smooth(rng, shape) * pick(rng, _SCALES)).astype(pick(rng, ("float16", "float32", "float64")))


def _with_outliers(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    values = _smooth(rng, shape).astype(np.float32)
    outlier = pick(rng, (np.nan, np.inf, -np.inf, 3e38, -3e38, 1e15, 1e-45, 1000.0))
    values[rng.random(shape) < pick(rng, (0.01, 0.5))] = outlier
    return values


def _encoded(rng: np.random.Generator) -> bytes:
    from bench.fuzz.inputs.pictures import NAMES, picture

    return picture(pick(rng, NAMES))
