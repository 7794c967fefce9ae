import logging
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidArgument, InvalidModel, OutOfMemory
from runtime.inference.devices import CPU, Device
from runtime.inference.patch_engine import BatchRunner, NetworkPatchModel, PatchEngine
from runtime.inference.progress import Stopwatch
from tests.support import cuda_stand_in
from tests.support.models import write_patch_bundle

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


class Fault(RuntimeError):
    """An exception whose module is that of ONNX Runtime."""


Fault.__module__ = "onnxruntime.capi.onnxruntime_pybind11_state"
ARENA = "bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested buffer of size 2147483648"


@pytest.mark.parametrize(
    "message",
    [
        f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Gemm node. {ARENA}",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=server ; expr=cudaMalloc((void**)&p, size);",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
        "CUDNN failure 5003: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0",
    ],
)
def test_what_onnx_runtime_says_of_memory_is_recognised(rng, message):
    planes = rng.random((1, 60, 60), dtype=np.float32)
    model = Doubling(limit=100)
    model.error = lambda text: Fault(message)
    np.testing.assert_allclose(PatchEngine(model).restore(planes, stride=2), 2 * planes, atol=1e-5)
    model.error = lambda text: Fault("CUDA failure 700: an illegal memory access was encountered")
    with pytest.raises(Fault, match="illegal memory access"):
        PatchEngine(model).restore(planes, stride=2)


def test_a_device_out_of_memory_is_given_its_own_back_and_goes_on(stand_in, models, bundles, monkeypatch, caplog):
    """An error of CuPy halves the batch once; the arrays of the failed batch are deleted before memory is freed."""
    from runtime.inference import patch_engine

    planes = np.random.default_rng(3).random((1, 60, 60), dtype=np.float32)
    expected = PatchEngine(models["filters"]).restore(planes)
    model = NetworkPatchModel(bundles["filters"], device=Device("cuda"))
    run, failed, alive = model.predict, [], []

    def predict(patches):
        if len(patches) > 32:
            failed.append(weakref.ref(patches))
            raise cuda_stand_in.OutOfMemoryError(len(patches) * 4 * SIZE**2, 1 << 33)
        return run(patches)

    def free(device):
        alive.extend(reference() is not None for reference in failed)

    monkeypatch.setattr(model, "predict", predict)
    monkeypatch.setattr(patch_engine, "free_unused_memory", free)
    with caplog.at_level(logging.WARNING, logger="runtime"):
        restored = PatchEngine(model).restore(cuda_stand_in.ndarray(planes))
    np.testing.assert_allclose(restored.array, expected, atol=1e-6)
    assert alive == [False]
    assert [record.getMessage() for record in caplog.records] == [
        "cuda:0 ran out of memory with batches of 64 patches (Out of memory allocating 73,984 bytes (allocated so far: "
        "8,589,934,592 bytes).); going on with batches of 32 patches"
    ]


def test_a_batch_that_another_thread_made_smaller_is_still_padded_enough():
    batches = BatchRunner(Device("cuda"), 64)
    batches.size = 16
    assert batches.padded(40) == 40
    assert batches.padded(3) == 16


@pytest.mark.parametrize("stride", [0, CORE + 1, 2.5, "4"])
def test_a_stride_that_does_not_fit_is_named(models, stride):
    with pytest.raises(InvalidArgument, match=r"stride .*: (this model takes 1 to 9|give a whole number of) pixels"):
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
    with pytest.raises(InvalidModel, match=r"takes \{'patches'"):
        NetworkPatchModel(bundle, device=CPU)
    bundle = write_patch_bundle(tmp_path / "small", "cores", patch={"size": 17, "core": 7, "stride": 4})
    with pytest.raises(InvalidModel, match="gives"):
        NetworkPatchModel(bundle, device=CPU)
    bundle = write_patch_bundle(tmp_path / "none", "cores", patch=None)
    with pytest.raises(InvalidModel, match="no patch geometry"):
        NetworkPatchModel(bundle, device=CPU)
