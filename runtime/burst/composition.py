"""Composition of the frames with the reference: in its exposure, and from it where a frame cannot be trusted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.arrays import Array, array_module
from runtime.burst.agreement import agreement, view
from runtime.burst.denoising import above_noise, noise_power
from runtime.burst.exposure import LEAST_BLOCKS, ToneCurve, match_tones, proportional, unclipped
from runtime.burst.grid import Grid, block_means, enlarge, smallest_nearby, smooth
from runtime.burst.shading import gains
from runtime.burst.trust import combined
from runtime.decisions.thresholds import (
    EQUAL_EXPOSURE,
    FRAME_CONTRADICTED,
    FRAME_GAIN,
    FRAME_UNCLIPPED,
    NOISY_GAIN,
    UNEVEN_LIGHT,
    UNEXPLAINED_BY_LIGHT,
)
from runtime.inference.devices import holding
from runtime.preparation.fill import fill_unknown

_KNOWN = 0.99
"""Trust from which a block is taken for known and not clipped."""
_TURNS = 3
"""How often the tones and the light are measured in turn where both differ."""


class Unsuitable(Exception):
    """A frame cannot be used with the reference; the message says why."""


class Equalised(NamedTuple):
    """A frame in the exposure of the reference.

    Attributes
    ----------
    planes
        Float32 ``(C, H, W)``; clipped values are as near to the reference's as they may have been.
    trust
        Float32 ``(H, W)``, that in the frame by itself; ``None`` where it is 1 throughout.
    unclipped
        Float32 ``(H, W)``, 0 where the frame is clipped in any colour, and the reference need not be; ``None`` if it is
        nowhere.
    gain
        The factor by which its noise has grown; 1 for an equally exposed frame.
    """

    planes: Array
    trust: Array | None
    unclipped: Array | None = None
    gain: float = 1.0


class Tones(NamedTuple):
    """How a frame gets the exposure of the reference.

    Attributes
    ----------
    curve
        From its values, lit like the reference, to those of the reference.
    lighting
        By what each block ``(C, h, w)`` is multiplied to be lit like the reference; ``None`` where that is 1
        throughout.
    """

    curve: ToneCurve
    lighting: Grid | None


class Composer:
    """Composes aligned frames with the reference.

    Parameters
    ----------
    planes
        Float32 ``(C, H, W)`` of the reference, unknown pixels filled; changed in place by `complete` and `finish`.
    trust
        Float32 ``(H, W)``, 0 where the reference is unknown; ``None`` where it is 1 throughout.
    noisy_gain
        Factor from which only what rises above its noise is taken from a frame that is brightened.

    Attributes
    ----------
    planes
        The reference, completed by `complete`.
    """

    def __init__(self, planes: Array, trust: Array | None, noisy_gain: float = NOISY_GAIN) -> None:
        self.planes, self._trust, self._known = planes, trust, trust
        self._noisy_gain = noisy_gain
        self._measure()

    @property
    def incomplete(self) -> bool:
        """Whether pixels of the reference are unknown, and not taken from other frames yet."""
        return self._trust is not None and bool((self._trust < 1).any())

    def complete(self, planes: Array, trust: Array | None) -> None:
        """Take unknown pixels of the reference from an aligned frame that knows them; see `compose`."""
        if self._trust is None:
            return
        xp = array_module(planes)
        with holding(planes):
            equalised, trust, shown, _ = self._equalise(planes, trust)
            trust = trust if shown is None else combined(trust, shown)
            gained = (1 - self._trust) * (1 if trust is None else trust)
            total = self._trust + gained
            self.planes += gained / xp.maximum(total, 1e-12) * (equalised - self.planes)
            self._trust = total

    def finish(self) -> None:
        """Fill what no frame knows, after all calls of `complete`."""
        if self._trust is not None:
            with holding(self.planes):
                fill_unknown(self.planes, self._trust > 0)
                self._measure()

    def compose(self, planes: Array, trust: Array | None) -> Array:
        """Return an aligned frame in the exposure of the reference, and the reference where it is not trusted.

        Parameters
        ----------
        planes
            Float32 ``(C, H, W)``, on the device of the reference.
        trust
            Float32 ``(H, W)``: trust in the frame by itself, or ``None`` where it is 1 throughout.

        Returns
        -------
        array
            Float32 ``(C, H, W)``; `planes` themselves if they are trusted throughout and equally exposed.

        Raises
        ------
        Unsuitable
            If the exposure is too far from that of the reference.
        """
        with holding(planes):
            frame, agreed, gain = self._compared(planes, trust)
            contradicted, noisy = bool((agreed < 1).any()), gain > self._noisy_gain
            if not contradicted and not noisy:
                return frame
            difference = frame - self.planes
            if contradicted:
                difference *= enlarge(agreed, frame)
            if noisy:
                power = noise_power(self.planes) + gain**2 * noise_power(planes)
                difference = above_noise(difference, power)
            return array_module(frame).clip(self.planes + difference, *self._bounds)

    def agreed(self, planes: Array, trust: Array | None) -> Array | None:
        """Return where an aligned frame does not contradict the reference.

        Parameters
        ----------
        planes, trust
            As in `compose`.

        Returns
        -------
        array or None
            Float32 ``(H, W)``, 1 where it agrees and 0 where it does not at all; ``None`` if it agrees nearly
            everywhere.

        Raises
        ------
        Unsuitable
            As in `compose`.
        """
        with holding(planes):
            _, agreed, _ = self._compared(planes, trust)
            return None if (agreed < 1).mean() <= FRAME_CONTRADICTED else enlarge(agreed, planes)

    def lighting(self, planes: Array, trust: Array | None) -> Array | None:
        """Return by what an aligned frame is multiplied to be lit like the reference.

        Parameters
        ----------
        planes, trust
            As in `compose`.

        Returns
        -------
        array or None
            Float32 ``(C, H, W)``; ``None`` if the two are lit alike.
        """
        with holding(planes):
            tones = self._tones(planes, self._usable_with(self._shown(planes, trust)))
            return None if tones is None or tones.lighting is None else _enlarged(tones.lighting, planes)

    def _compared(self, planes: Array, trust: Array | None) -> tuple[Array, Grid, float]:
        """Return a frame in the exposure of the reference, where the two agree, and the factor of its noise."""
        frame, trust, _, gain = self._equalise(planes, trust)
        if trust is not None:  # before the comparison, so that what is not trusted contradicts nothing around it
            frame = self.planes + trust * (frame - self.planes)
        return frame, agreement(view(frame), self._view, self._scale), gain

    def _measure(self) -> None:
        self._view = view(self.planes)
        self._blocks, self._grid = block_means(self.planes), self._view.values
        self._scale = float(np.percentile(np.abs(self._grid), 99))
        self._highest = float(self.planes.max())
        self._bounds = min(0.0, float(self.planes.min())), max(1.0, self._highest)
        usable = unclipped(self.planes.max(axis=0), self._highest)
        self._usable = block_means(usable if self._known is None else usable * self._known)

    def _shown(self, planes: Array, trust: Array | None) -> Grid:
        """Return which share of each block (h, w) of a frame is known and not clipped."""
        return block_means(combined(trust, unclipped(planes.max(axis=0), float(planes.max()))))

    def _usable_with(self, shown: Grid) -> npt.NDArray[np.bool_]:
        """Return the blocks (h, w) at which a frame can be compared with the reference."""
        return smallest_nearby(np.minimum(shown, self._usable)) > _KNOWN

    def _tones(self, planes: Array, usable: npt.NDArray[np.bool_]) -> Tones | None:
        """Return how a frame gets the exposure of the reference, or ``None`` where that cannot be found.

        A curve that is fitted to frames that are lit differently is no more than a first guess, from which both follow.
        The other guess is that all values are in proportion, as of light under another exposure. What leaves least of
        the difference of the two frames counts.
        """
        if np.count_nonzero(usable) < LEAST_BLOCKS:
            return None
        blocks = block_means(planes)
        curve = match_tones(smooth(blocks), self._grid, usable)
        if curve is None:
            return None
        toned = curve(blocks)
        lighting = gains(toned, self._blocks, usable)
        left, before = (np.abs(smooth(each) - self._grid).mean(where=usable) for each in (lighting * toned, toned))
        if np.abs(lighting - 1).mean(where=usable) <= UNEVEN_LIGHT or left > UNEXPLAINED_BY_LIGHT * before:
            return Tones(curve, None)
        guesses = [curve, proportional(blocks, self._blocks, usable)]
        found = [tones for guess in guesses if guess for tones in self._lit(guess, blocks, usable)]
        return min(found, key=lambda tones: self._unexplained(tones, blocks, usable))

    def _lit(self, curve: ToneCurve, blocks: Grid, usable: npt.NDArray[np.bool_]) -> list[Tones]:
        """Return the light of a frame under a curve that is guessed, and both after they are fitted in turn."""
        lighting = gains(curve(blocks), self._blocks, usable)
        guessed, fitted = Tones(curve, lighting), None
        for _ in range(_TURNS):
            fitted = match_tones(smooth(lighting * blocks), self._grid, usable)
            if fitted is None:
                return [guessed]
            lighting = lighting * gains(fitted(lighting * blocks), self._blocks, usable)
        return [guessed] if fitted is None else [guessed, Tones(fitted, lighting)]

    def _unexplained(self, tones: Tones, blocks: Grid, usable: npt.NDArray[np.bool_]) -> float:
        """Return the mean difference of a frame from the reference under some tones."""
        lit = tones.curve(blocks if tones.lighting is None else tones.lighting * blocks)
        return float(np.abs(smooth(lit) - self._grid).mean(where=usable))

    def _equalise(self, planes: Array, trust: Array | None) -> Equalised:
        """Return a frame in the exposure of the reference."""
        shown = self._shown(planes, trust)
        usable = self._usable_with(shown)
        if np.count_nonzero(usable) < LEAST_BLOCKS:
            if np.median(np.abs(smooth(block_means(planes)) - self._grid)) <= EQUAL_EXPOSURE * self._scale:
                return Equalised(planes, trust)
            raise Unsuitable("hardly any pixel is well exposed both in it and in the reference")
        tones = self._tones(planes, usable)
        if tones is None or (tones.lighting is None and tones.curve.is_identity(self._scale)):
            return Equalised(planes, trust)
        curve, lighting = tones
        gain = curve.gain * (1 if lighting is None else float(np.sqrt(np.mean(lighting**2))))
        if gain > FRAME_GAIN:
            raise Unsuitable(f"its exposure is too low: it is darker than the reference by a factor of {gain:.0f}")
        if shown.mean() < FRAME_UNCLIPPED:
            raise Unsuitable(f"its exposure is too high: {1 - shown.mean():.0%} of it is clipped")
        lit = planes if lighting is None else planes * _enlarged(lighting, planes)
        equalised = array_module(planes).clip(curve(lit), *self._bounds)
        shown = self._complete_clipped(equalised, planes, curve, float(planes.max()))
        return Equalised(equalised, trust, shown, gain)

    def _complete_clipped(self, equalised: Array, planes: Array, curve: ToneCurve, highest: float) -> Array:
        """Replace clipped values of a frame by those of the reference, in place, as far as they can be true.

        A clipped value says only that the light was at least, or at most, so much: less than the highest value of the
        frame it was not, whatever another blur shows there. That is all that the reference could say if the same light
        is clipped in it too.

        Parameters
        ----------
        equalised, planes
            Float32 ``(C, H, W)``: the frame in the exposure of the reference, and as it came.
        curve
            From the one to the other.
        highest
            Largest value of the frame.

        Returns
        -------
        array
            Float32 ``(H, W)``: 0 where any colour was replaced, 1 where none.
        """
        xp, tolerance = array_module(planes), EQUAL_EXPOSURE * self._highest
        black, white = (curve(np.full((len(planes), 1), level, np.float32))[:, 0] for level in (0.0, highest))
        shown = xp.ones(planes.shape[1:], np.float32)
        for number, (plane, target, reference) in enumerate(zip(planes, equalised, self.planes, strict=True)):
            if white[number] < self._highest - tolerance:
                weight = unclipped(plane, highest)
                target += (1 - weight) * xp.maximum(reference - target, 0)
                shown = xp.minimum(shown, weight)
            if black[number] > tolerance:
                weight = xp.clip(plane / (EQUAL_EXPOSURE * highest), 0, 1)
                target += (1 - weight) * xp.minimum(reference - target, 0)
                shown = xp.minimum(shown, weight)
        return shown


def _enlarged(lighting: Grid, like: Array) -> Array:
    """Interpolate what is said of blocks ``(C, h, w)`` at the pixels of planes ``(C, H, W)``."""
    return array_module(like).stack([enlarge(plane, like) for plane in lighting])
