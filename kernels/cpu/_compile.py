"""How Numba compiles the CPU kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Any:
    """Compile `function` on its first call, to run without the GIL.

    It divides as NumPy does, which vectorises, and rounds a product and the sum it goes into once.

    The machine code is kept on disk beside the source or in the user's cache folder; where neither can be
    written, as in a read-only container, each process compiles anew. Numba looks for changes in the file of
    `function` alone: after a change of a module that it calls, delete ``kernels/cpu/__pycache__``.
    """
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})(function)
    except RuntimeError:
        return numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})(function)
