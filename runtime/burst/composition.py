"""Composition of a frame with the reference: in its exposure, and from it where the frame cannot be trusted."""

from __future__ import annotations

import numpy as np

from kernels.arrays import Array, array_module
from runtime.burst.exposure import ToneCurve, match_tones, unclipped
from runtime.burst.grid import block_means, enlarge, smallest_nearby, smooth
from runtime.burst.trust import agreement
from runtime.decisions.thresholds import EQUAL_EXPOSURE, FRAME_GAIN, FRAME_UNCLIPPED
from runtime.inference.devices import holding
from runtime.preparation.fill import fill_unknown

_KNOWN = 0.99
"""Trust from which a block is taken for known."""


class Unsuitable(Exception):
    """A frame cannot be used with the reference; the message says why."""


class Composer:
    """Composes aligned frames with the reference.

    Parameters
    ----------
    planes
        Float32 ``(C, H, W)`` of the reference, unknown pixels filled; changed in place by `complete` and `finish`.
    trust
        Float32 ``(H, W)``, 0 where the reference is unknown; ``None`` where it is 1 throughout.

    Attributes
    ----------
    planes
        The reference, completed by `complete`.
    """

    def __init__(self, planes: Array, trust: Array | None) -> None:
        self.planes, self._trust, self._known = planes, trust, trust
        self._measure()

    @property
    def incomplete(self) -> bool:
        """Whether pixels of the reference are unknown and not completed from other frames yet."""
        return self._trust is not None and bool((self._trust < 1).any())

    def complete(self, planes: Array, trust: Array | None) -> None:
        """Take unknown pixels of the reference from an aligned frame that knows them; see `compose`."""
        if self._trust is None:
            return
        xp = array_module(planes)
        with holding(planes):
            equalised, trust = self._equalise(planes, trust)
            gained = (1 - self._trust) * (1 if trust is None else trust)
            total = self._trust + gained
            share = xp.where(total > 0, gained / xp.maximum(total, 1e-12), 0)
            self.planes += share * (equalised - self.planes)
            self._trust = total

    def finish(self) -> None:
        """Fill smoothly what no frame knows of the reference."""
        if self._trust is not None:
            nowhere = self._trust <= 0
            if bool(nowhere.any()):
                fill_unknown(self.planes, ~nowhere)
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
            planes, trust = self._equalise(planes, trust)
            agreed = agreement(smooth(block_means(planes)), self._grid, self._scale)
            if (agreed < 1).any():
                agreed = enlarge(agreed, planes)
                trust = agreed if trust is None else trust * agreed
            return planes if trust is None else self.planes + trust * (planes - self.planes)

    def _measure(self) -> None:
        means = block_means(self.planes)
        self._grid = smooth(means)
        self._highest = float(self.planes.max())
        self._scale = float(np.percentile(np.abs(means), 99))
        self._range = min(0.0, float(self.planes.min())), max(1.0, self._highest)
        usable = unclipped(self.planes, self._highest).min(axis=0)
        if self._known is not None:
            usable = usable * self._known
        self._usable = block_means(usable)

    def _equalise(self, planes: Array, trust: Array | None) -> tuple[Array, Array | None]:
        """Return a frame in the exposure of the reference, and the trust in it without clipped pixels."""
        highest = float(planes.max())
        weights = unclipped(planes, highest)
        usable = weights.min(axis=0)
        if trust is not None:
            usable = usable * trust
        shown = block_means(usable)
        both = smallest_nearby(np.minimum(shown, self._usable)) > _KNOWN
        grid = smooth(block_means(planes))
        curve = match_tones(grid, self._grid, both)
        if curve is None:
            if np.abs(grid - self._grid).max() <= EQUAL_EXPOSURE * self._scale:
                return planes, trust
            raise Unsuitable("too few of its pixels are neither clipped nor unknown")
        if curve.is_identity(self._scale):
            return planes, trust
        if curve.gain > FRAME_GAIN:
            raise Unsuitable(f"it is darker by a factor of {curve.gain:.0f}")
        if shown.mean() < FRAME_UNCLIPPED:
            raise Unsuitable(f"{1 - shown.mean():.0%} of it is clipped")
        exposed = self._exposed(planes, weights, curve, highest)
        trust = exposed if trust is None else trust * exposed
        return array_module(planes).clip(curve(planes), *self._range), trust

    def _exposed(self, planes: Array, weights: Array, curve: ToneCurve, highest: float) -> Array:
        xp = array_module(planes)
        lowest, top = (curve(np.full((len(planes), 1), level, np.float32))[:, 0] for level in (0.0, highest))
        exposed = xp.ones(planes.shape[1:], np.float32)
        margin = 1 - EQUAL_EXPOSURE
        for number, weight in enumerate(weights):
            if top[number] < margin * self._highest:
                exposed = xp.minimum(exposed, weight)
            if lowest[number] > EQUAL_EXPOSURE * self._highest:
                exposed = xp.minimum(exposed, xp.clip(planes[number] / (EQUAL_EXPOSURE * highest), 0, 1))
        return exposed
