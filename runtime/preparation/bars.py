"""Translucent bars on a photograph, such as those behind captions: rectangles of one opacity and colour.

Along an edge of such a bar, all columns obey one law: what a photograph ``p`` shows outside goes on inside as
``(1 - a) p + a c``, with the opacity ``a`` and the colour ``c`` of the bar (Porter and Duff 1984). A blurred photograph
is smooth, so that both follow from a line through what the pixels on either side let expect at the edge. Its own edges
hardly ever obey such a law, and do not obey the same one twice, over the same columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.arrays import Array, array_module, packed
from kernels.cancellation import checkpoint
from runtime.inference.devices import download
from runtime.preparation.enclosed import Mask
from runtime.preparation.layers import Layer

_OPACITIES = 0.2, 0.8
"""Least and largest opacity of a bar: below, it hides little; above, too little is left of the photograph."""
_COLOURS = -0.1, 1.15
"""Least and largest value of its colour, in units of white."""
_SHORTEST, _THINNEST = 64, 16
"""Least length and width of a bar in pixels."""
_ALONG = 2
"""Distance in pixels along an edge over which values are averaged, for less noise."""
_STEP, _STEP_NOISE = 0.03, 3.0
"""Step from which on a pixel shows an edge: in units of white, plus this many standard deviations of the noise."""
_SHARE = 0.6
"""Least share of a stretch of the least length that does."""
_AT_ONCE = 2**22
"""Values that are looked at at once; of a larger photograph one plane after the other is."""
_MOST = 96
"""Lines that are looked at more closely, at most."""
_FITS = 4
"""Fits of the law to an edge, each over the columns that obey the last one."""
_EXPLAINED, _EXPLAINED_NOISE, _CAPPED, _COST = 0.01, 2.0, 5.0, 0.05
"""Deviation from the law that is nothing special, in units of white, plus this many standard deviations of the noise;
multiple of it beyond which a deviation counts no more; and what a column costs that the law explains no better than no
step at all, in squares of it."""
_WORST = 0.1
"""Share of the columns that are left out where the law is judged, since something may lie there on the edge."""
_BETTER, _CLEAR = 40.0, 3.0
"""Ratios to the mean square deviation from the law, at least: of the steps at an edge, and of the variation of the
photograph along it, as it shows inside. At the edges of bars on five photographs they are 47 and 5 at least ..."""
_BETTER_ALONE, _CLEAR_ALONE = 100.0, 10.0
"""... and where a bar reaches the border of the image, so that it shows one long edge only: such edges have 203 and 15
at least. Of 332 images without bars, sharp and blurred, five, all of them drawn, would have some at a quarter of all
these limits."""
_CROSSED = 0.65
"""Share of a line across such a bar up to which something, such as text, may begin or end there: a line of letters over
half of its length has 0.5."""
_SAME_OPACITY, _SAME_COLOUR, _SAME_COLUMNS = 0.08, 0.1, 0.8
"""Differences of opacity and of colour up to which two edges are those of one bar, and least share of their columns
that both have."""
_NEAR = 3
"""Lines around an edge among which its place is looked for."""
_HARD = 0.15
"""Share of a line up to which, or up to all but which, a bar may seem to cover it if it ends beside it."""

Values = NDArray[np.float32]


class _Edge(NamedTuple):
    """A long edge of a bar.

    Attributes
    ----------
    line : int
        That at which the bar begins or ends, or the next one to it.
    begins : bool
    start, stop : int
        Its columns.
    slope, offset
        The law: what shows inside is the photograph times `slope`, plus `offset` (C,).
    better, clear : float
        How much better the law is than none, and how clearly the photograph shows through; see `_BETTER`.
    """

    line: int
    begins: bool
    start: int
    stop: int
    slope: float
    offset: Values
    better: float
    clear: float

    @property
    def colour(self) -> Values:
        """That of the bar."""
        return self.offset / np.float32(1 - self.slope)


def find_bars(planes: Array, noise: float) -> tuple[tuple[Layer, ...], Mask | None]:
    """Find the translucent bars on a blurred photograph, along rows or columns, and remove them.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        In units of white; finite. Changed where there is a bar.
    noise : float
        Standard deviation of the noise in the same units.

    Returns
    -------
    bars : tuple of Layer
        In the order in which they were removed.
    hidden : (H, W) array of bool, in host memory, or None
        Lines that a bar covers in part, whose values are unknown; ``None`` if there is no bar.
    """
    bars: list[Layer] = []
    hidden: Mask = np.zeros(planes.shape[1:], bool)
    views = planes, planes.transpose(0, 2, 1)
    found = _steps(views, noise)
    for turned, lines in enumerate(views):
        steps = (_steps(views, noise) if turned and bars else found)[turned]
        for edges in _pairs(_edges(lines, steps, noise), steps, *lines.shape[1:]):
            checkpoint()
            bar, beside = _bar(lines, *edges)
            bar.remove(lines)
            bars.append(Layer(bar.opacity, bar.colour, bar.covered.T) if turned else bar)
            hidden |= beside.T if turned else beside
    return tuple(bars), hidden if bars else None


def _edges(planes: Array, steps: dict[int, float], noise: float) -> list[_Edge]:
    """Return what may be edges of bars along some lines of planes (C, H, W), one at each place."""
    edges: list[_Edge] = []
    if not steps:
        return edges
    # One copy from a GPU takes all of them.
    numbers = download(packed(planes, [planes[:, line - 2 : line + 3] for line in steps]))
    stretches = numbers.astype(np.float32).reshape(len(steps), len(planes), 5, -1)
    for line, near in zip(steps, stretches, strict=True):
        above, below = (_averaged(2 * near[:, one] - near[:, two]) for one, two in ((1, 0), (3, 4)))
        for begins, outside, inside in ((True, above, below), (False, below, above)):
            edge = _fit(outside, inside, line, begins, noise)
            if edge is None or edge.better < _BETTER or edge.clear < _CLEAR:
                continue
            if not _at_each_distance(near if begins else near[:, ::-1], edge):
                continue
            # There are two such lines at an edge, the last one outside and the first one inside.
            if edges and line - edges[-1].line <= _NEAR:
                if edge.better <= edges[-1].better:
                    continue
                edges.pop()
            edges.append(edge)
    return edges


def _at_each_distance(near: Values, edge: _Edge) -> bool:
    """Tell whether the law explains better what lies one line from an edge, and two lines, than no edge does.

    Two lines from an edge values that one side lets expect are mixed with those of the other one, and obey another law.

    Parameters
    ----------
    near : (C, 5, W) array of float32
        The lines around it, from the outside inwards.
    edge
    """
    columns = _averaged(near)[:, :, edge.start : edge.stop]
    for outside, inside in ((columns[:, 1], columns[:, 3]), (columns[:, 0], columns[:, 4])):
        rest = np.square(inside - edge.slope * outside - edge.offset[:, None]).sum(axis=0)
        if np.median(rest) >= np.median(np.square(inside - outside).sum(axis=0)):
            return False
    return True


def _steps(views: Sequence[Array], noise: float) -> list[dict[int, float]]:
    """Return for each of some planes (C, H, W) the lines across which a long stretch does not go on.

    With each line comes the share of the whole of it that does not. One copy from a GPU takes all of them.
    """
    found: list[dict[int, float]] = [{} for _ in views]
    large = [
        number for number, view in enumerate(views) if view.shape[1] >= 2 * _THINNEST and view.shape[2] >= _SHORTEST
    ]
    if large:
        values = [each for number in large for each in _stretches(views[number], noise)]
        ends = np.cumsum([2 * views[number].shape[1] for number in large])
        for number, numbers in zip(large, np.split(download(packed(values[0], values)), ends[:-1]), strict=True):
            found[number] = _longest(numbers, views[number].shape[2])
    return found


def _longest(numbers: NDArray[np.float64], width: int) -> dict[int, float]:
    """Return what `_steps` does, from the numbers of `_stretches`."""
    stretches, whole = numbers.reshape(2, -1)
    shares = stretches / _SHORTEST
    most = np.argsort(-shares, kind="stable")[:_MOST]
    return {int(line): float(whole[line] / width) for line in np.sort(most) if shares[line] >= _SHARE}


def _stretches(planes: Array, noise: float) -> tuple[Array, Array]:
    """Return for each line (H,) how many pixels show an edge: within the best stretch, and on the whole."""
    xp, (height, width) = array_module(planes), planes.shape[1:]
    steps = xp.zeros((height, width), bool)
    least = np.float32(_STEP + _STEP_NOISE * noise)
    for part in [planes] if planes.size <= _AT_ONCE else planes[:, None]:
        checkpoint()
        change = 2 * (part[:, 3:-1] - part[:, 1:-3]) - part[:, 4:] + part[:, :-4]
        steps[2:-2] |= (abs(_averaged(change)) > least).any(axis=0)
    sums = xp.zeros((height, width + 1), np.int32)
    sums[:, 1:] = steps.cumsum(axis=1)
    return (sums[:, _SHORTEST:] - sums[:, :-_SHORTEST]).max(axis=1), sums[:, -1]


def _averaged(lines: Array) -> Array:
    """Return the means of the pixels around each one of lines (..., n); those at the ends stay as they are."""
    averaged, width = lines.copy(), 2 * _ALONG + 1
    count = lines.shape[-1] - width + 1
    inside = averaged[..., _ALONG:-_ALONG]
    inside[...] = 0
    for start in range(width):
        inside += lines[..., start : start + count]
    inside /= np.float32(width)
    return averaged


def _fit(outside: Values, inside: Values, line: int, begins: bool, noise: float) -> _Edge | None:
    """Find the columns of an edge and its law from what both sides (C, W) let expect there; ``None`` if it has none."""
    change = np.square(inside - outside).sum(axis=0)
    floor = len(outside) * (_EXPLAINED + _EXPLAINED_NOISE * noise) ** 2
    sums = np.concatenate([[0], np.cumsum(change > floor)])
    start = int(np.argmax(sums[_SHORTEST:] - sums[:-_SHORTEST]))
    stop, slope, offset, rest = start + _SHORTEST, 1.0, np.zeros(len(outside), np.float32), change
    for _ in range(_FITS):
        slope, offset = _line(outside[:, start:stop], inside[:, start:stop])
        if not 1 - _OPACITIES[1] <= slope <= 1 - _OPACITIES[0]:
            return None
        rest = np.square(inside - slope * outside - offset[:, None]).sum(axis=0)
        cap = _CAPPED**2 * floor
        start, stop = _best_stretch(np.minimum(change, cap) - np.minimum(rest, cap) - _COST * floor)
        if stop - start < _SHORTEST:
            return None
    kept = np.argsort(rest[start:stop])[: round((1 - _WORST) * (stop - start))] + start
    deviation = max(float(rest[kept].mean()), 1e-9)
    shown = slope**2 * float(outside[:, kept].var(axis=1).sum())
    edge = _Edge(line, begins, start, stop, slope, offset, float(change[kept].mean()) / deviation, shown / deviation)
    return edge if _COLOURS[0] <= edge.colour.min() <= edge.colour.max() <= _COLOURS[1] else None


def _line(outside: Values, inside: Values) -> tuple[float, Values]:
    """Fit ``inside = slope outside + offset`` to (C, n) values without those that fit worst."""
    used = np.ones(outside.shape[1], bool)
    slope, offset = 1.0, np.zeros(len(outside), np.float32)
    for _ in range(_FITS):
        some, shown = outside[:, used], inside[:, used]
        centred = some - some.mean(axis=1, keepdims=True)
        slope = float((centred * shown).sum() / max(float(np.square(centred).sum()), 1e-9))
        offset = (shown - slope * some).mean(axis=1)
        rest = np.square(inside - slope * outside - offset[:, None]).sum(axis=0)
        used = rest <= np.quantile(rest, 1 - _WORST)
    return slope, offset


def _best_stretch(gains: NDArray[np.floating]) -> tuple[int, int]:
    """Return where the stretch of the largest sum of gains begins and ends."""
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    stop = int(np.argmax(sums - np.minimum.accumulate(sums)))
    return int(np.argmin(sums[: stop + 1])), stop


def _pairs(
    edges: list[_Edge], steps: dict[int, float], height: int, width: int
) -> list[tuple[_Edge | None, _Edge | None]]:
    """Return the first and the last edge of each bar; ``None`` for one that lies at the border of the image."""
    pairs: list[tuple[_Edge | None, _Edge | None]] = []
    rest = list(edges)
    for first in edges:
        if not first.begins or first not in rest:
            continue
        last = next((edge for edge in rest if edge.line - first.line >= _THINNEST and _same(first, edge)), None)
        if last is not None:
            pairs.append((first, last))
            rest = [edge for edge in rest if not first.line <= edge.line <= last.line]
    for edge in rest:
        depth = height - edge.line if edge.begins else edge.line
        whole = edge.start <= _NEAR and edge.stop >= width - _NEAR
        alone = edge.better >= _BETTER_ALONE and edge.clear >= _CLEAR_ALONE
        beyond = (
            step
            for line, step in steps.items()
            if (line > edge.line + _NEAR if edge.begins else line < edge.line - _NEAR)
        )
        # The other edge may not have been recognised.
        alone &= max(beyond, default=0) <= _CROSSED
        if whole and alone and _THINNEST <= depth <= height // 2:
            pairs.append((edge, None) if edge.begins else (None, edge))
    return pairs


def _same(first: _Edge, last: _Edge) -> bool:
    """Tell whether two edges are those of one bar."""
    both = min(first.stop, last.stop) - max(first.start, last.start)
    return (
        not last.begins
        and abs(first.slope - last.slope) <= _SAME_OPACITY
        and float(np.abs(first.colour - last.colour).max()) <= _SAME_COLOUR
        and both >= _SAME_COLUMNS * (max(first.stop, last.stop) - min(first.start, last.start))
    )


def _bar(planes: Array, first: _Edge | None, last: _Edge | None) -> tuple[Layer, Mask]:
    """Return the bar between two edges on planes (C, H, W), and the pixels (H, W) beside it that it covers in part."""
    edges = [edge for edge in (first, last) if edge is not None]
    weights = np.array([edge.clear for edge in edges]) / sum(edge.clear for edge in edges)
    slope = float(weights @ [edge.slope for edge in edges])
    colour: Values = (weights @ np.stack([edge.colour for edge in edges])).astype(np.float32)
    law = slope, colour
    height, width = planes.shape[1:]
    start, stop = min(edge.start for edge in edges), max(edge.stop for edge in edges)
    around = planes[:, :, start + _NEAR : stop - _NEAR]
    top, above = _first(around, first.line, law) if first else (0, 0)
    bottom, below = _first(around[:, ::-1], height - 1 - last.line, law) if last else (0, 0)
    around = planes.transpose(0, 2, 1)[:, :, top + _NEAR : height - bottom - _NEAR]
    left, before = _first(around, start, law) if start > _NEAR else (0, 0)
    right, after = _first(around[:, ::-1], width - stop, law) if stop < width - _NEAR else (0, 0)
    touched: Mask = np.zeros((height, width), bool)
    touched[top - above : height - bottom + below, left - before : width - right + after] = True
    covered = np.zeros_like(touched)
    covered[top : height - bottom, left : width - right] = True
    xp = array_module(planes)
    return Layer(1 - slope, xp.asarray(colour), xp.asarray(covered)), touched & ~covered


def _first(planes: Array, line: int, law: tuple[float, Values]) -> tuple[int, int]:
    """Find the first line of a bar.

    Parameters
    ----------
    planes : (C, n, m) array of float32
        The lines along an edge, on which the bar follows the photograph.
    line : int
        The first one about.
    law
        One minus the opacity of the bar, and its colour.

    Returns
    -------
    first : int
        That which is covered entirely.
    beside : int
        Number of lines before it that are covered in part, 0 or 1.
    """
    slope, colour = law[0], law[1][:, None]
    offset = (1 - slope) * colour
    begin = max(line - _NEAR - 2, 0)
    near: Values = download(planes[:, begin : line + _NEAR + 3])
    misfits = []
    for here in range(2, near.shape[1] - 2):
        before, after = (
            _averaged(2 * near[:, here - 1] - near[:, here - 2]),
            _averaged(2 * near[:, here + 1] - near[:, here + 2]),
        )
        misfits.append(np.median(np.square(slope * before + offset - after).sum(axis=0)))
    here = 2 + int(np.argmin(misfits))
    under = (near[:, here + 1 : here + 3] - offset[:, None]) / slope
    photograph = (4 * (near[:, here - 1] + under[:, 0]) - near[:, here - 2] - under[:, 1]) / 6
    step = (1 - slope) * (colour - photograph)
    share = float((step * (near[:, here] - photograph)).sum() / max(float(np.square(step).sum()), 1e-9))
    first = begin + here
    if share >= 1 - _HARD:
        return first, 0
    return first + 1, int(share > _HARD)
