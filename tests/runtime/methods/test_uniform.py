import numpy as np
import pytest

from runtime.blur.blurs import KernelBlur
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.errors import InvalidImage
from runtime.estimation.kernel.blind import BlindEstimate
from runtime.methods import uniform as module
from runtime.methods.uniform import choose_support, require_size, restore_with
from runtime.options import Options
from runtime.response import SRGB
from runtime.run import Run

KERNEL = np.full((3, 3), 1 / 9, np.float32)


@pytest.mark.parametrize("reason", [None, Reason.NOT_SPARSER])
def test_a_kernel_is_undone_unless_it_was_refused(monkeypatch, reason):
    observed, guide, run = np.zeros((3, 20, 30), np.float32), np.zeros((20, 30), np.float32), Run(Options())
    finished = Estimate(observed + 1)
    asked = []

    def finish(planes, candidate, run, *, guide):
        asked.append((planes, candidate, run, guide))
        return finished

    monkeypatch.setattr(module, "finish", finish)
    found = restore_with(observed, guide, BlindEstimate(KERNEL, 0.7, 0.9, reason, -2.0), run)
    if reason is None:
        ((planes, candidate, *others),) = asked
        assert found is finished
        assert planes is observed
        assert (candidate.blur.kernel is KERNEL, candidate.log_error, candidate.confidence) == (True, -2.0, 0.7)
        assert others == [run, guide]
        return
    assert not asked
    assert found.latent is observed
    assert isinstance(found.blur, KernelBlur)
    assert (found.confidence, found.reason, found.log_error) == (0.7, reason, -2.0)


@pytest.mark.parametrize("gain", [None, 5.0])
def test_light_comes_back_as_stored_values(monkeypatch, gain):
    observed, run = np.full((3, 20, 30), 0.5, np.float32), Run(Options(quality="fast"))
    light, asked = SRGB.to_light(observed), []

    def finish(planes, candidate, run, *, guide, latent):
        asked.append((planes, guide, latent.copy()))
        refused = Reason.NO_GAIN if gain is None else None
        return Estimate(planes if refused else latent, gain=gain, reason=refused)

    monkeypatch.setattr(module, "undo", lambda planes, candidate, run: planes * np.float32(0.5))
    monkeypatch.setattr(module, "finish", finish)
    found = restore_with(observed, luminance(observed), BlindEstimate(KERNEL, 0.7, 0.9, None, -2.0), run, SRGB)
    ((planes, guide, latent),) = asked
    np.testing.assert_array_equal(guide, luminance(light))
    np.testing.assert_array_equal(latent, light * np.float32(0.5))
    assert found.response is SRGB
    if gain is None:
        assert found.latent is planes is observed
    else:
        np.testing.assert_allclose(found.latent, SRGB.from_light(light * np.float32(0.5)), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "options", "support"),
    [
        ((400, 300), {}, 85),
        ((400, 120), {}, 59),
        ((400, 300), {"refine": False}, 51),
        ((400, 120), {"support": 40}, 40),
    ],
)
def test_the_support_is_what_the_photograph_allows(shape, options, support):
    assert choose_support(shape, Options(**options)) == support


def test_a_photograph_that_is_too_small_for_a_network_is_refused():
    plane = np.zeros((7, 30), np.float32)
    require_size(plane, 7)
    with pytest.raises(InvalidImage, match="the image is 30x7: this model needs 8 pixels or more on each side"):
        require_size(plane, 8)
