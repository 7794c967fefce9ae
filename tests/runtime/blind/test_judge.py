"""The true blur explains the spectrum of a photograph better than other kernels."""

from __future__ import annotations

import numpy as np

from runtime.blind.judge import SpectrumJudge
from runtime.blind.kernel_shape import delta, fit, shift


def test_prefers_the_true_blur(blurred, kernel):
    judge = SpectrumJudge(blurred)
    true = judge.score(kernel)
    assert true < judge.score(delta((3, 3))) - 0.1
    assert true < judge.score(kernel.T) - 0.1
    assert true < judge.score(np.full((17, 17), 1 / 289)) - 0.1


def test_position_and_frame_do_not_matter(blurred, kernel):
    judge = SpectrumJudge(blurred)
    assert np.isclose(judge.score(kernel), judge.score(shift(fit(kernel, 31), 4, -3)), atol=1e-4)


def test_flat_image_scores_are_finite():
    judge = SpectrumJudge(np.full((40, 50), 0.3, np.float32))
    assert np.isfinite(judge.score(delta((3, 3))))
