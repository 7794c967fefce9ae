"""`kernels.edges` for NumPy arrays; that module documents the functions."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array
from kernels.cpu._compile import compiled, compiled_unfused
from kernels.cpu.threads import run_in_slices
from kernels.edges import SAMPLE


def forward_differences(image: Array) -> Array:
    """Read each row once, and write both differences."""
    differences = np.empty((2, *image.shape), np.float32)
    run_in_slices(_differences, len(image), image, differences)
    return differences


def shock_filter(image: Array, step: float, iterations: int) -> Array:
    """Go from one plane to another and back, each with a column more at either side, so that no row has ends."""
    planes = np.empty((2, image.shape[0], image.shape[1] + 2), np.float32)
    planes[0, :, 1:-1] = image
    planes[0, :, 0], planes[0, :, -1] = image[:, -1], image[:, 0]
    for done in range(iterations):
        run_in_slices(_shock, len(image), planes[done % 2], np.float32(step), planes[1 - done % 2])
    return np.ascontiguousarray(planes[iterations % 2, :, 1:-1])


def keep_strongest(edges: Array, share: float) -> Array:
    """Work an array at a time."""
    magnitude = np.hypot(edges[0], edges[1])
    step = max(1, magnitude.size // SAMPLE)
    kept: Array = edges * (magnitude >= np.quantile(magnitude.reshape(-1)[::step], 1 - share))
    return kept


@compiled
def _differences(first, last, image, differences):  # type: ignore[no-untyped-def]
    """Compute the rows `first` to `last - 1`."""
    height, width = image.shape
    for row in range(first, last):
        here, below = image[row], image[row + 1 if row + 1 < height else 0]
        across, down = differences[0, row], differences[1, row]
        for n in range(width - 1):
            across[n] = here[n + 1] - here[n]
        across[width - 1] = here[0] - here[width - 1]
        for n in range(width):
            down[n] = below[n] - here[n]


@compiled_unfused
def _shock(first, last, source, step, target):  # type: ignore[no-untyped-def]
    """Compute the rows `first` to `last - 1` of one iteration, in a loop that LLVM vectorises."""
    height, width = source.shape[0], source.shape[1] - 2
    half, quarter, two, zero = np.float32(0.5), np.float32(0.25), np.float32(2), np.float32(0)
    for row in range(first, last):
        above, here, below = source[row - 1], source[row], source[row + 1 if row + 1 < height else 0]
        result = target[row]
        for n in range(1, width + 1):
            u, left, right, up, down = here[n], here[n - 1], here[n + 1], above[n], below[n]
            ux, uy = half * (right - left), half * (down - up)
            uxy = quarter * (below[n + 1] + above[n - 1] - below[n - 1] - above[n + 1])
            curvature = ux * ux * (right - two * u + left) + two * ux * uy * uxy + uy * uy * (down - two * u + up)
            forward, backward = right - u, u - left
            across = min(abs(forward), abs(backward)) if forward * backward > zero else zero
            forward, backward = down - u, u - up
            along = min(abs(forward), abs(backward)) if forward * backward > zero else zero
            move = step * np.float32(np.sqrt(np.float64(across) ** 2 + np.float64(along) ** 2))
            result[n] = u - move if curvature > zero else (u + move if curvature < zero else u)
        result[0], result[width + 1] = result[width], result[1]
