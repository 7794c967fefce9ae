import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.burst.engine import STAGE, BurstEngine, NetworkBurstModel, separate_weights
from runtime.errors import InvalidArgument, InvalidModel, OutOfMemory
from runtime.inference.devices import CPU
from runtime.inference.progress import Stopwatch
from tests.support.models import write_burst_bundle, write_patch_bundle

SIZE, CORE = 17, 9


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return NetworkBurstModel(write_burst_bundle(tmp_path_factory.mktemp("mean"), size=SIZE, core=CORE), device=CPU)


class First:
    """Gives the first frame, twice as bright; runs out of memory above `limit` bursts."""

    size, core, stride, predicts, device = SIZE, CORE, 4, "filters", CPU

    def __init__(self, limit=10**9):
        self.limit, self.bursts, self.guides = limit, [], []

    def fuse(self, patches):
        self.bursts.append(patches.shape[:2])
        self.guides.append(patches)
        if len(patches) > self.limit:
            raise MemoryError("no more")
        filters = np.zeros((*patches.shape[:2], 2, SIZE, SIZE // 2 + 1), np.float32)
        filters[:, 0, 0] = 1
        return filters

    def predict(self, patches):
        filters = np.zeros((len(patches), 2, SIZE, SIZE // 2 + 1), np.float32)
        filters[:, 0] = 2
        return filters


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    stride=st.integers(1, CORE),
    batch=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_network_of_means_gives_the_mean_of_the_frames(model, frames, channels, height, width, stride, batch, seed):
    burst = list(np.random.default_rng(seed).random((frames, channels, height, width), dtype=np.float32))
    restored = BurstEngine(model, batch=batch).restore(burst, stride=stride)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, np.mean(burst, axis=0), atol=3e-6)


def test_filters_are_predicted_from_luminance_and_applied_to_every_plane(rng):
    burst = list(rng.random((3, 3, 40, 30), dtype=np.float32))
    model = First()
    np.testing.assert_allclose(BurstEngine(model).restore(burst), 2 * burst[0], atol=1e-5)
    grey = [np.tensordot(np.float32([0.299, 0.587, 0.114]), frame, axes=1)[None] for frame in burst]
    other = First()
    BurstEngine(other).restore(grey)
    np.testing.assert_allclose(model.guides[0], other.guides[0], atol=1e-6)


def test_filters_are_divided_into_what_is_common_and_weights(rng):
    filters = rng.standard_normal((2, 3, 2, SIZE, SIZE // 2 + 1)).astype(np.float32)
    filters[0, 1] = 0
    filters[1, :, :, 2, 3] = 0
    whole, weights = separate_weights(filters)
    np.testing.assert_allclose(weights, np.hypot(filters[:, :, 0], filters[:, :, 1]), rtol=1e-6)
    total = weights.sum(1, keepdims=True)
    shares = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    np.testing.assert_allclose(whole * shares[:, :, None], filters, atol=1e-5)
    magnitudes = np.hypot(whole[:, :, 0], whole[:, :, 1])
    np.testing.assert_allclose(magnitudes[weights > 0], np.broadcast_to(total, weights.shape)[weights > 0], rtol=1e-4)


class Halves(First):
    """The first frame gives the lower half of the rows of frequencies of each patch, the second one the upper half."""

    def fuse(self, patches):
        filters = np.zeros((*patches.shape[:2], 2, SIZE, SIZE // 2 + 1), np.float32)
        low = np.abs(np.fft.fftfreq(SIZE)) < 0.25
        filters[:, 0, 0, low] = filters[:, 1, 0, ~low] = 0.999
        filters[:, 0, 0, ~low] = filters[:, 1, 0, low] = 0.001
        return filters


def test_smoothing_blends_the_weights_of_the_frames_over_the_frequencies(rng):
    burst = list(rng.random((2, 1, 40, 40), dtype=np.float32))

    def restored(smoothing, frames=burst):
        return BurstEngine(Halves()).restore(frames, smoothing=smoothing)

    np.testing.assert_allclose(restored(1e-3), restored(0.0), atol=1e-5)
    mean = burst[0] + burst[1]  # halved by the mean, doubled by the last filter
    distances = [np.square(restored(smoothing) - mean).mean() for smoothing in (0.0, 0.1, 0.4)]
    assert distances[0] > 1.2 * distances[1] > 2 * distances[2]
    for smoothing in (0.05, 0.2):
        np.testing.assert_allclose(restored(smoothing, 2 * burst[:1]), 2 * burst[0], atol=1e-5)


def test_a_batch_counts_the_patches_of_all_frames(rng):
    model = First()
    BurstEngine(model, batch=60).restore(list(rng.random((6, 1, 40, 40), dtype=np.float32)))
    assert model.bursts[0] == (10, 6)
    many = First()
    BurstEngine(many, batch=4).restore(list(rng.random((6, 1, 12, 12), dtype=np.float32)))
    assert set(many.bursts) == {(1, 6)}


def test_stages_and_progress_are_reported(model, rng):
    watch, calls = Stopwatch(), []
    BurstEngine(model, batch=64).restore(
        list(rng.random((2, 1, 40, 40), dtype=np.float32)),
        stopwatch=watch,
        progress=lambda stage, fraction: calls.append((stage, fraction)),
    )
    assert list(watch.seconds()) == ["extract", "fusion", "filter", "network", "overlap-add"]
    assert {stage for stage, _ in calls} == {STAGE}
    fractions = [fraction for _, fraction in calls]
    assert len(fractions) > 1
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_out_of_memory_halves_the_batch_and_says_so(rng, caplog):
    burst = list(rng.random((4, 1, 60, 60), dtype=np.float32))
    model = First(limit=20)
    with caplog.at_level(logging.WARNING, logger="runtime"):
        restored = BurstEngine(model).restore(burst, stride=3)
    np.testing.assert_allclose(restored, 2 * burst[0], atol=1e-5)
    assert [count for count, _ in model.bursts[:3]] == [64, 32, 16]
    assert "batches of 16 patches" in caplog.text
    with pytest.raises(OutOfMemory, match="give a smaller batch"):
        BurstEngine(First(limit=20), batch=200).restore(burst, stride=3)


def test_frames_that_do_not_go_together_are_named(model):
    with pytest.raises(InvalidArgument, match="none: give one or more"):
        BurstEngine(model).restore([])
    with pytest.raises(InvalidArgument, match="all of one shape"):
        BurstEngine(model).restore([np.zeros((1, 20, 20), np.float32), np.zeros((1, 20, 21), np.float32)])


def test_values_that_cannot_be_are_named(model):
    with pytest.raises(InvalidArgument, match="this model takes 1 to 9 pixels"):
        BurstEngine(model).restore([np.zeros((1, 20, 20), np.float32)], stride=CORE + 1)
    for batch in (0, 1.5, "8"):
        with pytest.raises(InvalidArgument, match="whole number of patches"):
            BurstEngine(model, batch=batch)


def test_a_bundle_without_fusion_or_of_another_shape_is_refused(tmp_path):
    with pytest.raises(InvalidModel, match="no part named 'fusion'"):
        NetworkBurstModel(write_patch_bundle(tmp_path / "single", "filters", size=SIZE, core=CORE), device=CPU)
    odd = write_burst_bundle(tmp_path / "odd", size=SIZE, core=CORE)
    parts = {name: _described(part) for name, part in odd.parts.items()}
    parts["fusion"]["outputs"][0]["name"] = "weights"
    with pytest.raises(InvalidModel, match="its part 'fusion' gives"):
        NetworkBurstModel(write_burst_bundle(tmp_path / "odd", size=SIZE, core=CORE, parts=parts), device=CPU)


def _described(part):
    tensors = {
        side: [{"name": spec.name, "type": spec.type, "shape": list(spec.shape)} for spec in getattr(part, side)]
        for side in ("inputs", "outputs")
    }
    return {"graphs": {key: file.name for key, file in part.graphs.items()}, "opset": part.opset, **tensors}
