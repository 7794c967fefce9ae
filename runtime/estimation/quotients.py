"""One blur kernel for a whole photograph by learned features and quotients of spectra (Schuler et al. 2014).

A stage makes features of the photograph, and of its latent image so far if there is one, with a network; divides their
spectra for the kernel (Eq. 4); and undoes its blur for the next latent image (Eq. 5). Scales of a few stages each, from
coarse to fine, start from kernel and latent image of the scale before. Nothing is searched: time is that of these
transforms, in proportion to the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, array_module
from kernels.borders import fast_side
from kernels.quotient import fade, image_quotient, kernel_quotient, shape_kernels
from runtime.blur.kernel import Kernel
from runtime.errors import InvalidArgument, InvalidModel
from runtime.estimation.kernel.pyramid import informative_window
from runtime.estimation.learned import CONSTANTS, QuotientAssumptions, part_name, resampling_matrix, scaled_shape
from runtime.inference.assumptions import ImageAssumptions
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download
from runtime.inference.progress import Progress
from runtime.inference.session import Session, open_session
from runtime.options import ANY

STAGE = "kernel network"
PIXELS = 2**18
"""Pixels that the network looks at, at most: those of the window with the strongest edges."""
_NUMBERS = ("beta", "weight", "threshold")


class KernelNetwork:
    """Estimates the kernel of a photograph by the trained stages of a bundle.

    Parameters
    ----------
    bundle
        With a part for the features of each trained stage, see `runtime.estimation.learned.part_name`: from ``planes``
        (batch, 1 or 2, height, width), the photograph and its latent image, to ``sharp`` and ``blurred`` (batch,
        images, height - filter + 1, width - filter + 1); the numbers of their quotients; and `QuotientAssumptions`.
    device, precision
        As in `runtime.inference.session.open_session`.

    Raises
    ------
    InvalidModel
        If the bundle is no such network, or none of its stages is trained.

    Attributes
    ----------
    supports : tuple of int
        Sides in pixels of the kernels of the trained scales.
    assumes : QuotientAssumptions
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto") -> None:
        self.assumes = assumes = bundle.read_assumptions(QuotientAssumptions)
        # The geometry is the bundle's own, the pixels are what the runtime provides.
        bundle.require_assumptions(replace(assumes, range=ImageAssumptions.range, colour=ImageAssumptions.colour))
        self._numbers, trained = _read_numbers(bundle, assumes)
        scales = next((scale for scale, stages in enumerate(trained) if stages == 0), len(trained))
        if scales == 0:
            raise InvalidModel(f"{bundle.path}: none of its stages is trained; train it and export it again")
        self.supports = assumes.supports[:scales]
        self._sessions = [
            [_open_stage(bundle, assumes, scale, stage, device, precision) for stage in range(trained[scale])]
            for scale in range(scales)
        ]

    def smallest(self) -> int:
        """Return the least side in pixels of a photograph of which any kernel is estimated."""
        return self.assumes.smallest(self.supports[0])

    def estimate(
        self,
        luminance: Array,
        *,
        support: int | None = None,
        stages: int | None = None,
        progress: Progress | None = None,
    ) -> Array:
        """Estimate the kernel of a photograph.

        Parameters
        ----------
        luminance : (H, W) array of float32
            Values in [0, 1], on the device of the network; at least `smallest` pixels a side.
        support : int, optional
            Side of the kernel in pixels: the next larger of `supports` is taken, and the largest of them that fits
            into the photograph by default.
        stages : int, optional
            Stages of the finest scale that run; all by default.
        progress : callable ``(stage, fraction)``, optional

        Returns
        -------
        (side, side) array of float32
            Non-negative, of sum 1, the origin in its middle, on the device of the photograph.
        """
        fitting = [side for side in self.supports if self.assumes.smallest(side) <= min(luminance.shape)]
        enough = [side for side in fitting if support is not None and side >= support]
        finest = (enough or fitting[-1:])[0]
        last = self.supports.index(finest)
        kernel = latent = None
        for scale, observed in enumerate(self._pyramid(luminance, last)):
            if kernel is not None:
                kernel, latent = _rescaled(kernel, self.supports[scale]), _resampled(latent, observed.shape)
            count = len(self._sessions[scale])
            for stage in range(count if stages is None or scale < last else min(stages, count)):
                if latent is None and kernel is not None:
                    latent = self._undo(observed, kernel, scale, stage - 1)
                kernel, latent = self._estimate(observed, latent, kernel, scale, stage), None
            if scale < last:
                latent = self._undo(observed, kernel, scale, count - 1)
            if progress is not None:
                progress(STAGE, (scale + 1) / (last + 1))
        return kernel

    def estimate_wide(self, luminance: Array) -> Array | None:
        """Estimate a kernel that is larger than all of `supports`, from the photograph at half its size.

        Parameters
        ----------
        luminance : (H, W) array of float32
            As for `estimate`.

        Returns
        -------
        (side, side) array of float32 or None
            Of about twice the side of the largest kernel that fits, odd; ``None`` if the photograph is too small.
        """
        small = _resampled(luminance, (luminance.shape[0] // 2, luminance.shape[1] // 2))
        if min(small.shape) < self.smallest():
            return None
        kernel = self.estimate(small)
        return _rescaled(kernel, 2 * kernel.shape[0] + 1)

    def estimate_alone(self, luminance: Array, support: int | None = None, progress: Progress | None = None) -> Array:
        """Estimate a kernel to be used as it is: as `estimate`, of the window with the strongest edges."""
        return self.estimate(self._informative(luminance), support=support, progress=progress)

    def starts(self, luminance: Array, support: int, progress: Progress | None = None) -> list[Kernel]:
        """Estimate kernels that may be nearly right: that of the photograph, and that of it at half its size.

        Of a large photograph the window with the strongest edges is looked at.

        Parameters
        ----------
        luminance : (H, W) array of float32
            As for `estimate`.
        support : int
            Largest side of a kernel in pixels.
        progress : callable ``(stage, fraction)``, optional

        Returns
        -------
        list of (side, side) arrays of float64
            In host memory; none if all are larger.
        """
        looked_at = self._informative(luminance)
        found = self.estimate(looked_at, support=support, progress=progress), self.estimate_wide(looked_at)
        kernels = [download(each).astype(np.float64) for each in found if each is not None]
        return [kernel for kernel in kernels if len(kernel) <= support]

    def _informative(self, luminance: Array) -> Array:
        return luminance[informative_window(luminance, PIXELS, narrowest=self.smallest())]

    def _pyramid(self, luminance: Array, last: int) -> list[Array]:
        """Return a photograph (H, W) at each scale up to the one with the index `last`, which is its own."""
        planes = [luminance]
        for scale in range(last, 0, -1):
            shape = scaled_shape(planes[0].shape, self.supports[scale - 1], self.supports[scale])
            planes.insert(0, _resampled(planes[0], shape))
        return planes

    def _estimate(self, observed: Array, latent: Array | None, kernel: Array | None, scale: int, stage: int) -> Array:
        """Run one stage, from the photograph (H, W), and the latent image and the kernel before."""
        xp, side = array_module(observed), self.supports[scale]
        beta, _, threshold = self._numbers[scale, stage]
        planes = xp.stack([observed] if latent is None else [observed, latent])[None]
        features = self._sessions[scale][stage].run(planes=planes)
        border = round(self.assumes.fade * side)
        sharp, blurred = (fade(features[name], border) for name in ("sharp", "blurred"))
        prior = kernel[None] if self.assumes.tied and kernel is not None else None
        return shape_kernels(kernel_quotient(sharp, blurred, side, float(beta), prior), float(threshold))[0]

    def _undo(self, observed: Array, kernel: Array, scale: int, stage: int) -> Array:
        """Return the latent image (H, W) of a photograph under a kernel (Eq. 5)."""
        xp, pad = array_module(observed), round(self.assumes.pad * self.supports[scale])
        height, width = observed.shape
        mean = observed.mean()
        wide = fade(xp.pad(observed - mean, pad, mode="edge")[None, None], pad)[0, 0]
        plane = xp.zeros(tuple(fast_side(size) for size in wide.shape), np.float32)
        plane[: wide.shape[0], : wide.shape[1]] = wide
        latent = image_quotient(plane[None], kernel[None], float(self._numbers[scale, stage, 1]))[0]
        return xp.ascontiguousarray(latent[pad : pad + height, pad : pad + width]) + mean


@dataclass(frozen=True)
class Choice(ImageAssumptions):
    """What a bundle without a network of its own says.

    Attributes
    ----------
    networks
        Names of the bundles of which one is chosen for each photograph.
    """

    networks: tuple[str, ...] = ()


class KernelNetworks:
    """Networks for several kinds of photographs and levels of noise.

    Parameters
    ----------
    bundle
        That of a `KernelNetwork`, or one without parts that names those of several, see `Choice`.
    device, precision
        As in `runtime.inference.session.open_session`.

    Raises
    ------
    ModelNotFound, InvalidModel
        If one of them cannot be loaded, or none is named.
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto") -> None:
        self._name = bundle.name
        bundles = [bundle] if bundle.parts else [load_model(name) for name in bundle.read_assumptions(Choice).networks]
        if not bundles:
            raise InvalidModel(f"{bundle.path}: has no network and names none; export it again")
        self._networks = [KernelNetwork(each, device=device, precision=precision) for each in bundles]

    def choose(self, content: str, noise: float) -> KernelNetwork:
        """Return the network for photographs of a content whose noise is nearest.

        Parameters
        ----------
        content
            A value of `runtime.options.Options.content`; with ``"any"`` a single network is taken whatever it is for.
        noise
            Standard deviation, in units of the value range.

        Raises
        ------
        InvalidArgument
            If no network is for that content.
        """
        single = len(self._networks) == 1 and content == ANY
        suited = [each for each in self._networks if single or each.assumes.content == content]
        if not suited:
            have = ", ".join(dict.fromkeys(repr(each.assumes.content) for each in self._networks))
            raise InvalidArgument(
                f"content={content!r}: {self._name} is for {have}; leave it out or give another model"
            )
        return min(suited, key=lambda each: _beyond(noise, *each.assumes.noise))


def _beyond(value: float, least: float, largest: float) -> float:
    """Return how far a value is from a range."""
    return max(least - value, value - largest, 0.0)


def _read_numbers(bundle: Bundle, assumes: QuotientAssumptions) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Return beta, weight and threshold (scales, stages, 3), and the number of trained stages of each scale."""
    arrays: dict[str, npt.NDArray[Any]] = bundle.load_constants(CONSTANTS)
    shape = len(assumes.supports), assumes.stages
    shapes = {**dict.fromkeys(_NUMBERS, shape), "trained": shape[:1]}
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise InvalidModel(f"{bundle.path}: {CONSTANTS} are not {', '.join(shapes)} of {shape}; export it again")
    numbers = np.stack([arrays[name] for name in _NUMBERS], axis=-1).astype(np.float64)
    trained = [int(count) for count in arrays["trained"]]
    if numbers.min() <= 0 or numbers[..., 2].max() >= 1 or not all(0 <= count <= assumes.stages for count in trained):
        raise InvalidModel(f"{bundle.path}: {CONSTANTS} are out of their ranges; export it again")
    return numbers, trained


def _open_stage(
    bundle: Bundle, assumes: QuotientAssumptions, scale: int, stage: int, device: Device, precision: str
) -> Session:
    part = bundle.part(part_name(scale, stage))
    images = next((spec.shape[1] for spec in part.outputs if len(spec.shape) == 4), 0)
    inside = ("batch", images, *(f"{side}-{assumes.filter - 1}" for side in ("height", "width")))
    inputs = 1 if scale == stage == 0 else 2
    part.require(bundle.path, {"planes": ("batch", inputs, "height", "width")}, {"sharp": inside, "blurred": inside})
    return open_session(bundle, part.name, device=device, precision=precision)


def _resampled(plane: Array, shape: tuple[int, int]) -> Array:
    """Resample a plane (H, W) to another shape."""
    if plane.shape == shape:
        return plane
    asarray = array_module(plane).asarray
    rows, cols = (asarray(_matrix(old, new)) for old, new in zip(plane.shape, shape, strict=True))
    return rows @ plane @ cols.T


def _rescaled(kernel: Array, side: int) -> Array:
    """Resample a kernel of sum 1 to another side."""
    resampled = _resampled(kernel, (side, side))
    return resampled / resampled.sum()


@lru_cache(maxsize=64)
def _matrix(source: int, target: int) -> npt.NDArray[np.float32]:
    return resampling_matrix(source, target)
