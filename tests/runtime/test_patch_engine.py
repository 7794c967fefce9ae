import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.devices import CPU
from runtime.errors import InvalidArgument, InvalidModel, OutOfMemory
from runtime.patch_engine import NetworkPatchModel, PatchEngine
from runtime.progress import Stopwatch
from tests.runtime.models import write_patch_bundle

SIZE, CORE = 17, 9


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return {kind: write_patch_bundle(folder / kind, kind, size=SIZE, core=CORE) for kind in ("filters", "cores")}


@pytest.fixture(scope="module")
def models(bundles):
    return {kind: NetworkPatchModel(bundle, device=CPU) for kind, bundle in bundles.items()}


class Doubling:
    """Predicts filters that double every frequency; runs out of memory above `limit` patches."""

    size, core, stride, predicts, device = SIZE, CORE, 4, "filters", CPU

    def __init__(self, limit=10**9, error=MemoryError):
        self.limit, self.error, self.batches = limit, error, []

    def predict(self, patches):
        self.batches.append(len(patches))
        if len(patches) > self.limit:
            raise self.error("no more")
        filters = np.zeros((len(patches), 2, SIZE, SIZE // 2 + 1), np.float32)
        filters[:, 0] = 2
        return filters


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["filters", "cores"]),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    stride=st.integers(1, CORE),
    batch=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_identity_network_gives_the_image_back(models, kind, channels, height, width, stride, batch, seed):
    planes = np.random.default_rng(seed).random((channels, height, width), dtype=np.float32)
    guide = planes.mean(axis=0) if channels > 1 and kind == "filters" else None
    restored = PatchEngine(models[kind], batch=batch).restore(planes, guide=guide, stride=stride)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, planes, atol=3e-6)


def test_filters_from_the_guide_are_applied_to_every_plane(rng):
    planes = rng.random((3, 40, 30), dtype=np.float32)
    restored = PatchEngine(Doubling()).restore(planes, guide=np.zeros((40, 30), np.float32))
    np.testing.assert_allclose(restored, 2 * planes, atol=1e-5)


def test_the_result_does_not_depend_on_the_batch(models, rng):
    planes = rng.random((1, 50, 45), dtype=np.float32)
    whole = PatchEngine(models["filters"], batch=10_000).restore(planes)
    for batch in (1, 7, 64):
        np.testing.assert_allclose(PatchEngine(models["filters"], batch=batch).restore(planes), whole, atol=1e-6)


def test_stages_and_progress_are_reported(models, rng):
    watch, calls = Stopwatch(), []
    planes = rng.random((1, 40, 40), dtype=np.float32)
    PatchEngine(models["filters"], batch=16).restore(
        planes, stopwatch=watch, progress=lambda stage, fraction: calls.append((stage, fraction))
    )
    assert list(watch.seconds()) == ["extract", "network", "filter", "overlap-add"]
    assert {stage for stage, _ in calls} == {"neural average"}
    fractions = [fraction for _, fraction in calls]
    assert len(fractions) > 1
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_out_of_memory_halves_the_batch_and_says_so(rng, caplog):
    model = Doubling(limit=40)
    planes = rng.random((1, 60, 60), dtype=np.float32)
    with caplog.at_level(logging.WARNING, logger="runtime"):
        restored = PatchEngine(model).restore(planes, stride=2)
    np.testing.assert_allclose(restored, 2 * planes, atol=1e-5)
    assert model.batches[:4] == [256, 128, 64, 32]
    assert len(caplog.records) == 3
    assert "batches of 32 patches" in caplog.text


def test_an_explicit_batch_is_never_overridden(rng):
    with pytest.raises(OutOfMemory, match="a batch of 64 patches: give a smaller batch"):
        PatchEngine(Doubling(limit=40), batch=64).restore(rng.random((1, 60, 60), dtype=np.float32), stride=2)


def test_memory_that_never_suffices_fails_the_call(rng):
    with pytest.raises(OutOfMemory, match="a batch of 1 patches"):
        PatchEngine(Doubling(limit=0)).restore(rng.random((1, 20, 20), dtype=np.float32))


def test_any_other_error_is_not_taken_for_out_of_memory(rng):
    with pytest.raises(RuntimeError, match="no more"):
        PatchEngine(Doubling(limit=0, error=RuntimeError)).restore(rng.random((1, 20, 20), dtype=np.float32))


@pytest.mark.parametrize("stride", [0, CORE + 1, 2.5, "4"])
def test_a_stride_that_does_not_fit_is_named(models, stride):
    with pytest.raises(InvalidArgument, match=r"stride .*: this model takes 1 to 9 pixels"):
        PatchEngine(models["cores"]).restore(np.zeros((1, 20, 20), np.float32), stride=stride)


@pytest.mark.parametrize("batch", [0, -1, 1.5, "8"])
def test_a_batch_that_cannot_be_is_named(models, batch):
    with pytest.raises(InvalidArgument, match="whole number of patches"):
        PatchEngine(models["cores"], batch=batch)


def test_colour_needs_a_guide(models):
    with pytest.raises(InvalidArgument, match="give guide="):
        PatchEngine(models["filters"]).restore(np.zeros((3, 20, 20), np.float32))


def test_a_network_of_another_shape_is_refused(tmp_path):
    bundle = write_patch_bundle(tmp_path / "odd", "cores", patch={"size": 19, "core": 9, "stride": 4})
    with pytest.raises(InvalidModel, match="takes one input"):
        NetworkPatchModel(bundle, device=CPU)
    bundle = write_patch_bundle(tmp_path / "small", "cores", patch={"size": 17, "core": 7, "stride": 4})
    with pytest.raises(InvalidModel, match="gives one of"):
        NetworkPatchModel(bundle, device=CPU)
    bundle = write_patch_bundle(tmp_path / "none", "cores", patch=None)
    with pytest.raises(InvalidModel, match="no patch geometry"):
        NetworkPatchModel(bundle, device=CPU)
