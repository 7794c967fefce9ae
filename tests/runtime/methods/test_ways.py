from dataclasses import replace

import numpy as np
import pytest

from bench.data.photographs import shake_kernel
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.estimation.kernel.blind import BlindEstimate
from runtime.methods import ways as module
from runtime.methods.ways import Way, most_promising
from runtime.options import Options
from runtime.response import SRGB
from runtime.run import Run

KERNEL = shake_kernel(13).astype(np.float32)
SMALL, LARGE = (300, 400), (1500, 2100)


def made(shape, gains, monkeypatch, known=None):
    """Ways whose parts and wholes promise pairs of gains, `None` where they are refused; and what was restored."""
    restored = []

    def restore(observed, guide, found, run, response):
        part = observed.shape[1:] != shape
        gain = gains[int(found.log_error)][0 if part else 1]
        restored.append((int(found.log_error), part))
        assert (guide.shape, response) == (observed.shape[1:], SRGB)
        if run.known is not None:
            assert run.known.shape == observed.shape[1:]
        reason = Reason.NO_GAIN if gain is None else None
        return Estimate(observed if gain is None else np.full_like(observed, 0.25), gain=gain, reason=reason)

    monkeypatch.setattr(module, "restore_with", restore)
    observed, run = np.full((3, *shape), 0.5, np.float32), Run(Options(quality="fast"), known=known)
    founds = [BlindEstimate(KERNEL, 1.0, 1.0, None, float(number)) for number in range(len(gains))]
    return [Way(observed, observed[0], found, run, SRGB) for found in founds], restored


def test_small_photographs_are_compared_as_a_whole_and_restored_once(monkeypatch):
    ways, restored = made(SMALL, [(None, 4.0), (None, 5.0), (None, 3.0)], monkeypatch)
    assert most_promising(ways) is ways[1]
    assert ways[1].whole.gain == 5.0
    assert restored == [(0, False), (1, False), (2, False)]


def test_of_a_large_photograph_only_what_a_part_promises_most_for_is_restored_as_a_whole(monkeypatch):
    ways, restored = made(LARGE, [(4.0, 4.5), (5.0, 5.5)], monkeypatch, known=np.ones(LARGE, bool))
    assert most_promising(ways).whole.gain == 5.5
    assert restored == [(0, True), (1, True), (1, False)]
    part = ways[0].promise.latent.shape
    assert part[1] * part[2] == pytest.approx(module._ENOUGH, rel=0.1)


def test_one_way_is_not_compared(monkeypatch):
    ways, restored = made(LARGE, [(None, 4.0)], monkeypatch)
    assert most_promising(ways).whole.gain == 4.0
    assert restored == [(0, False)]


def test_nothing_is_compared_with_a_kernel_that_was_refused(monkeypatch):
    ways, restored = made(LARGE, [(4.0, 4.0), (5.0, 5.0)], monkeypatch)
    ways[0].found = replace(ways[0].found, reason=Reason.UNCLEAR)
    assert most_promising(ways) is ways[1]
    assert most_promising(ways[:1]) is ways[0]
    assert restored == []


@pytest.mark.parametrize(("favour", "taken"), [(0.0, 1), (0.6, 1), (1.1, 0)])
def test_the_first_way_may_be_favoured(monkeypatch, favour, taken):
    ways, _ = made(SMALL, [(None, 4.0), (None, 5.0)], monkeypatch)
    assert most_promising(ways, favour) is ways[taken]


def test_what_is_refused_as_a_whole_gives_way_to_the_next(monkeypatch):
    ways, _ = made(LARGE, [(4.0, 4.0), (5.0, None), (None, 9.0)], monkeypatch)
    assert most_promising(ways) is ways[0]


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_where_all_are_refused_the_first_one_tells_why(monkeypatch, shape):
    ways, _ = made(shape, [(None, None), (None, None)], monkeypatch)
    assert most_promising(ways) is ways[0]
    assert ways[0].whole.reason is Reason.NO_GAIN
