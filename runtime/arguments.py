"""Checks of arguments: each returns the argument as a plain Python value, or raises an error that names the remedy.

NumPy's scalars and arrays without axes count as the numbers, truth values and strings that they hold. A truth value is
no number.
"""

from __future__ import annotations

import math
import numbers
import operator
import os
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NoReturn, overload

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidArgument, UnsupportedType

_MOST = 2**31 - 1
"""Largest whole number: CUDA counts in 32 bits, and no photograph has as many pixels along a side."""


@overload
def check_whole(
    name: str, value: Any, *, least: int, what: str = "pixels", optional: Literal[True] = True
) -> int | None: ...
@overload
def check_whole(name: str, value: Any, *, least: int, what: str = "pixels", optional: Literal[False]) -> int: ...
def check_whole(name: str, value: Any, *, least: int, what: str = "pixels", optional: bool = True) -> int | None:
    """Check a whole number.

    Parameters
    ----------
    name, value
        The argument.
    least
        The smallest number allowed.
    what
        What is counted, for the message.
    optional
        Whether `value` may be ``None``, which is returned as it is.

    Raises
    ------
    InvalidArgument
        If `value` is no whole number, or is less than `least` or too large for 32 bits.
    """
    plain = _plain(value)
    if plain is None and optional:
        return None
    whole = operator.index(plain) if isinstance(plain, numbers.Integral) and not isinstance(plain, bool) else None
    if whole is None or not least <= whole <= _MOST:
        _refuse(name, value, f"give a whole number of {what}, {least} or more{', or None' if optional else ''}")
    return whole


def check_real(name: str, value: Any, allowed: Callable[[float], bool], remedy: str) -> float:
    """Check a real number.

    Parameters
    ----------
    name, value
        The argument.
    allowed
        Tells whether a number can be used; it is false for NaN.
    remedy
        What to give instead, for the message.

    Raises
    ------
    InvalidArgument
        If `value` is no real number, or not an allowed one.
    """
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, numbers.Real):
        _refuse(name, value, remedy)
    try:
        number = float(plain)
    except OverflowError:
        number = math.nan
    if not allowed(number):
        _refuse(name, value, remedy)
    return number


def check_flag(name: str, value: Any) -> bool:
    """Check a truth value.

    Raises
    ------
    InvalidArgument
        If `value` is no truth value.
    """
    plain = _plain(value)
    if not isinstance(plain, bool):
        _refuse(name, value, "give True or False")
    return plain


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Check that a string is one of several.

    Raises
    ------
    InvalidArgument
        If it is none of them.
    """
    plain = _plain(value)
    if not isinstance(plain, str) or plain not in choices:
        _refuse(name, value, f"give one of {', '.join(choices)}")
    return str(plain)


def check_path(name: str, value: Any) -> str:
    """Check a name or path.

    Raises
    ------
    UnsupportedType
        If `value` is neither a string nor a path.
    InvalidArgument
        If it is empty, or holds a character that no file name has.
    """
    try:
        path = os.fspath(value)
    except TypeError:
        path = value
    if not isinstance(path, str):
        raise UnsupportedType(f"{name} {shown(value)}: give a name or a path")
    if not path or "\0" in path:
        raise InvalidArgument(f"{name} {shown(value)}: give a name or a path")
    return str(path)


def check_progress(progress: Any) -> None:
    """Check that a progress callback, unless it is ``None``, can be called.

    Raises
    ------
    UnsupportedType
        If it cannot.
    """
    if progress is not None and not callable(progress):
        raise UnsupportedType(f"progress {shown(progress)}: give a function of a stage and a fraction, or None")


def check_several(what: str, value: Any, remedy: str) -> Iterable[Any]:
    """Check that a value is several things, to be taken one after another, and not a single one.

    Parameters
    ----------
    what
        What the things are together, for the message.
    value
        The argument: a list, an iterator, or an object with ``__getitem__`` by number, such as a data set; no mapping,
        no text and no path. An array has four axes, or one if it holds objects or names: another could be an image.
    remedy
        What to give instead, for the message.

    Raises
    ------
    UnsupportedType
        If it is none.
    """
    if isinstance(value, str | bytes | bytearray | memoryview | os.PathLike | Mapping) or not _is_iterable(value):
        raise UnsupportedType(f"{what} cannot be of type {type(value).__name__}: {remedy}")
    if isinstance(value, np.ndarray) and value.ndim != 4 and not (value.ndim == 1 and value.dtype.kind in "OUS"):
        raise UnsupportedType(f"{what} cannot be an array of {value.ndim} axes of {value.dtype}: {remedy}")
    return value  # type: ignore[no-any-return]


def _is_iterable(value: Any) -> bool:
    """Tell whether a value can be iterated over. Its methods do not: NumPy's scalars have ``__getitem__``."""
    try:
        iter(value)
    except TypeError:
        return False
    return True


def check_array(name: str, value: Any) -> npt.NDArray[Any]:
    """Convert to a NumPy array what is to be used as an array of real numbers.

    Parameters
    ----------
    name, value
        The argument: an array of integers, floating point numbers or truth values, or nested sequences of them.

    Raises
    ------
    UnsupportedType
        If it is none, such as a ragged list or an array of complex numbers or of objects.
    InvalidArgument
        If it is an array with masked values.
    """
    if np.ma.is_masked(value):
        raise InvalidArgument(f"{name} has masked values: give an array of which each value is known")
    remedy = f"give the {name} as an array of real numbers"
    try:
        array = np.asarray(value)
    except Exception as error:
        # What cannot be converted fails in as many ways as there are libraries of arrays.
        raise UnsupportedType(f"{name} {shown(value)} is no array ({_one_line(error)}): {remedy}") from error
    if array.dtype.kind not in "biuf":
        raise UnsupportedType(f"{name} of dtype {array.dtype}: {remedy}")
    return array


def shown(value: Any) -> str:
    """Return a short text of one line for any value, for a message."""
    try:
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if isinstance(shape, tuple) and shape and dtype is not None:
            return f"of {dtype} and shape {shape}"
        return " ".join(_REPR.repr(value).split())
    except ValueError:
        return "of very many digits"
    except Exception:
        # What says of itself what it is may fail in any way.
        return f"of type {type(value).__name__}"


def _plain(value: Any) -> Any:
    """Return the Python value that a NumPy scalar or an array without axes holds; other values as they are."""
    if isinstance(value, np.ma.MaskedArray):
        return value
    try:
        return value.item() if isinstance(value, np.generic) or getattr(value, "shape", None) == () else value
    except Exception:
        return value


def _refuse(name: str, value: Any, remedy: str) -> NoReturn:
    raise InvalidArgument(f"{name} {shown(value)}: {remedy}")


def _one_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
