"""Transforms there and back, as the benchmark of the kernels times them."""

from __future__ import annotations

from kernels import transforms
from kernels.arrays import Array, is_cuda
from kernels.fft import fft_module
from kernels.reference import transforms as reference


def transform_there_and_back(patches: Array) -> Array:
    """Transform float32 ``(..., P, P)`` and back by cuFFT, or by SciPy on all cores."""
    fft, workers = fft_module(patches), {}
    if not is_cuda(patches):
        from kernels.cpu.threads import core_count

        workers = {"workers": core_count()}
    spectra = fft.rfft2(patches, **workers)
    return fft.irfft2(spectra, s=patches.shape[-2:], overwrite_x=True, **workers)


def plane_there_and_back(plane: Array) -> Array:
    """Transform float32 ``(H, W)`` and back by `kernels.transforms`."""
    return transforms.irfft2(transforms.rfft2(plane), plane.shape[1])


def plane_there_and_back_in_double(plane: Array) -> Array:
    """Transform ``(H, W)`` and back by `kernels.reference.transforms`, in double precision."""
    return reference.irfft2(reference.rfft2(plane), plane.shape[1])
