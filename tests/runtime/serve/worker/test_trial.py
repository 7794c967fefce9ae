import runtime
from runtime.serve.worker.trial import restore_sample


def test_a_photograph_is_really_restored():
    result = restore_sample(runtime.Deblurrer(device="cpu"))
    assert result.image.shape == (96, 96, 3)
    assert result.reason is None
    assert "non-blind" in result.timings
