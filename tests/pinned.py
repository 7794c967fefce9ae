"""Restorations whose results are held still: what they are of, what came out, and how to record it anew.

``python -m tests.pinned`` records ``tests/pinned.npz``: of each result the middle, at full precision, and the SHA-256
of all of it. ``python -m tests.pinned --exact`` compares bit for bit instead, which holds on one kind of processor
only.
"""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve
from skimage import data

import runtime
from bench.data.photographs import shake_kernel
from runtime.estimation.parallel import on_one_core

RECORD = Path(__file__).with_suffix(".npz")
MIDDLE = 48
"""Side in pixels of what is recorded of each result."""


def _middle_of(array, height, width):
    top, left = (array.shape[0] - height) // 2, (array.shape[1] - width) // 2
    return array[top : top + height, left : left + width]


def _noisy(image, seed):
    noise = 0.01 * np.random.default_rng(seed).standard_normal(image.shape)
    return (image + noise).clip(0, 1).astype(np.float32)


def _blurred(sharp, kernel, seed):
    """Blur an image (H, W) or (H, W, C), keep what no border has a share in, and add 1 % noise."""
    spread = kernel[..., None] if sharp.ndim == 3 else kernel
    return _noisy(fftconvolve(sharp, spread, mode="valid", axes=(0, 1)), seed)


@cache
def grey():
    """A grey photograph under a shake of 15 px: float32 (186, 206)."""
    return _blurred(_middle_of(data.camera() / 255, 200, 220), kernel(), 1)


@cache
def colour():
    """A colour photograph under the same shake: float32 (146, 166, 3)."""
    return _blurred(data.astronaut()[20:180, 130:310] / 255, kernel(), 2)


@cache
def kernel():
    """The shake, (15, 15)."""
    return shake_kernel(15).astype(np.float32)


@cache
def field():
    """Motions that turn and grow from left to right, (146, 166, 2)."""
    down, right = np.mgrid[:146, :166] / 146
    return np.stack([2 + 10 * right, 30 + 60 * down], axis=-1).astype(np.float32)


@cache
def moved():
    """A colour photograph blurred along `field`."""
    from bench.data.motions import blur_along

    return _noisy(blur_along((data.astronaut()[20:166, 130:296] / 255).astype(np.float32), field()), 3)


@cache
def burst():
    """Four frames (146, 166, 3) of one scene, moved by whole pixels, each under a shake of its own."""
    sharp = data.astronaut() / 255
    shakes = (kernel(), kernel().T, kernel()[::-1], kernel()[:, ::-1])
    places = ((20, 130), (22, 129), (19, 132), (20, 131))
    return [
        _blurred(sharp[top : top + 160, left : left + 180], shake, seed)
        for seed, (shake, (top, left)) in enumerate(zip(shakes, places, strict=True))
    ]


def _deblur(image, **options):
    return runtime.deblur(image, device="cpu", **options)


def _deconvolve(image, **options):
    return runtime.deconvolve(image, device="cpu", **options)


def _fuse(**options):
    return runtime.deblur_burst(burst(), device="cpu", **options)


CASES = {
    "deblur fast": lambda: _deblur(grey(), quality="fast"),
    "deblur fast, without networks": lambda: _deblur(grey(), quality="fast", neural=False),
    "deblur fast, one estimate": lambda: _deblur(grey(), quality="fast", refine=False),
    "deblur fast, first estimate": lambda: _deblur(colour(), nonblind="none"),
    "deblur balanced": lambda: _deblur(colour()),
    "hyper-laplacian": lambda: _deconvolve(colour(), kernel=kernel(), method="hyper-laplacian"),
    "epll": lambda: _deconvolve(colour(), kernel=kernel(), method="epll"),
    "wiener": lambda: _deconvolve(colour(), kernel=kernel(), method="wiener"),
    "irc": lambda: _deconvolve(colour(), kernel=kernel(), method="irc"),
    "motion": lambda: _deconvolve(moved(), motion=field()),
    "motion, blind": lambda: _deblur(moved(), model="eboli"),
    "fba": lambda: _fuse(),
    "fba by patches": lambda: _fuse(patch=64, register=False),
    "burst network": lambda: _fuse(model="wieschollek", stride=11),
}
"""What is restored; each gives an array of float32."""


def restore(name):
    """Restore one case on one core."""
    return on_one_core(CASES[name])


def middle(result):
    """Return what is recorded of a result."""
    return _middle_of(result, MIDDLE, MIDDLE)


def digest(result):
    """Return the SHA-256 of a result, to compare bit for bit."""
    return hashlib.sha256(np.ascontiguousarray(result).tobytes()).hexdigest()


def main(exact):
    """Record all cases, or say which are no longer what they were."""
    results = {name: restore(name) for name in CASES}
    if not exact:
        digests = np.array([digest(results[name]) for name in CASES])
        np.savez_compressed(RECORD, digests=digests, **{name: middle(result) for name, result in results.items()})
        return
    with np.load(RECORD) as recorded:
        for name, wanted in zip(CASES, recorded["digests"], strict=True):
            apart = float(np.abs(middle(results[name]) - recorded[name]).max())
            print(f"{'same' if digest(results[name]) == wanted else 'DIFFERS'}  {name}  {apart:.3g}")


if __name__ == "__main__":
    main("--exact" in sys.argv[1:])
