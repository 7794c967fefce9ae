"""The options with which Numba compiles the CPU kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Any:
    """Compile `function` on its first call, to run without the GIL.

    Division by zero gives infinity or NaN as in NumPy, instead of an exception that would prevent vectorisation, and
    products and sums may be fused (FMA).

    The machine code is cached on disk beside the source or in the user's cache folder; where neither can be
    written, as in a read-only container, each process compiles anew. Numba detects changes only in the file of
    `function` itself: after a change in a module that it calls, delete the folders ``__pycache__``
    below ``kernels/cpu``.
    """
    return _compiled(function, {"contract"})


def compiled_unfused(function: Callable[..., Any]) -> Any:
    """Compile `function` as `compiled` does, but round every product, where the sign of a sum decides.

    What is exactly zero for exact products, as the curvature of a straight edge, then stays so.
    """
    return _compiled(function, set())


def _compiled(function: Callable[..., Any], fastmath: set[str]) -> Any:
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=fastmath)(function)
    except RuntimeError:
        return numba.njit(nogil=True, error_model="numpy", fastmath=fastmath)(function)
