"""Functions of arrays that a GPU records once as a CUDA graph, and from then on runs as one launch.

A solver of many small steps keeps a GPU waiting for the host, which launches each of its operations. A graph holds all
of them: the host launches one thing, and the device runs them back to back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from kernels.arrays import Array, is_cuda


def replayed(
    function: Callable[..., tuple[Array, ...]], *arrays: Array | float | None, **settings: Hashable
) -> tuple[Array, ...]:
    """Return ``function(*arrays, **settings)``; on a GPU as one launch, once the like has been asked for before.

    A graph is recorded for each function, its settings, and the shapes and types of its arrays. Large arrays are
    calculated without: a GPU then takes longer for each operation than the host for launching it. So is a function that
    cannot be recorded, or whose graph gives other results than the function itself, with the reason in the log.
    ``DEBLUR_CUDA_GRAPHS=0`` in the environment switches graphs off.

    Parameters
    ----------
    function
        A function of a module, whose operations on arrays depend on nothing but the shapes and types of its arguments
        and on `settings`. It does not wait for the device nor copy anything to or from it, except by
        `kernels.device_tables`. It does not sort, stack or concatenate, for which CuPy may do so.
    *arrays
        Arrays, numbers, or ``None``. Where one is a CuPy array, NumPy arrays of floating point numbers go to its
        device, all by one copy, and so do numbers, which `function` gets as arrays () of float32. Nothing is changed.
    **settings
        Whatever else `function` takes, by name.

    Returns
    -------
    tuple of arrays
        On the device of `arrays`, and nobody else's: they may be changed.
    """
    if any(is_cuda(array) for array in arrays):
        from kernels.cuda.graphs import recorder

        return recorder().run(function, arrays, settings)
    return function(*arrays, **settings)
