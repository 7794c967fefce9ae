"""Memory and processes: what many calls leave behind, and who can work beside whom."""

import logging
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

import runtime
from runtime.inference.bundle import load_model
from runtime.inference.devices import Device, free_unused_memory
from runtime.inference.patch_engine import NetworkPatchModel, PatchEngine
from tests.support.models import write_patch_bundle

MIB = 1 << 20
KERNEL = np.full((3, 3), 1 / 9, np.float32)


def resident():
    """Bytes of physical memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def work(deblurrer, rng, device, count):
    """Restore photographs of ever other sizes, in every way that keeps something."""
    for _ in range(count):
        height, width = rng.integers(20, 120, 2)
        image = rng.random((height, width, 3), dtype=np.float32)
        deblurrer.restore(image, nonblind="none")
        runtime.deconvolve(image, KERNEL, method="wiener", device=device, quality="fast")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_returns_after_calls_of_changing_sizes(tmp_path):
    deblurrer = runtime.Deblurrer(model=write_patch_bundle(tmp_path / "identity", "filters", stride=9), device="cpu")
    rng = np.random.default_rng(0)
    work(deblurrer, rng, "cpu", 30)
    before = resident()
    work(deblurrer, rng, "cpu", 100)
    # One photograph kept of each call would be twice as much.
    assert resident() - before < 3 * MIB


@pytest.mark.gpu
def test_memory_of_the_gpu_returns_after_calls_of_changing_sizes(tmp_path):
    import cupy

    deblurrer = runtime.Deblurrer(model=write_patch_bundle(tmp_path / "identity", "filters"), device="cuda")
    rng, pool, plans = np.random.default_rng(0), cupy.get_default_memory_pool(), cupy.fft.config.get_plan_cache()

    def left():
        plans.clear()
        free_unused_memory(Device("cuda"))
        return pool.used_bytes(), cupy.cuda.runtime.memGetInfo()[0]

    work(deblurrer, rng, "cuda", 100)
    used, free = left()
    work(deblurrer, rng, "cuda", 1000)
    used_after, free_after = left()
    assert used_after - used < MIB
    assert free - free_after < 64 * MIB


def restore_into(answers, image):
    answers.put(runtime.deblur(image, device="cuda", nonblind="none"))


@pytest.mark.gpu
def test_two_processes_share_one_gpu():
    context = multiprocessing.get_context("spawn")
    image = np.random.default_rng(1).random((300, 400, 3), dtype=np.float32)
    expected = runtime.deblur(image, device="cpu", nonblind="none")
    answers = context.Queue()
    processes = [context.Process(target=restore_into, args=(answers, image)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for restored in found:
        np.testing.assert_allclose(restored, expected, atol=0.02)


@pytest.mark.gpu
def test_a_gpu_with_little_memory_left_goes_on_with_smaller_batches(caplog):
    """With 100 MiB the patches and filters of the usual batch do not fit, 139 MB, those of half of it do."""
    import cupy

    model = NetworkPatchModel(load_model("chakrabarti-compact"), device=Device("cuda"))
    planes = cupy.asarray(np.random.default_rng(2).random((1, 700, 900), dtype=np.float32))
    expected = PatchEngine(model).restore(planes).get()
    free_unused_memory(Device("cuda"))
    hoard = cupy.cuda.runtime.malloc(cupy.cuda.runtime.memGetInfo()[0] - 100 * MIB)
    engine = PatchEngine(model)
    try:
        with caplog.at_level(logging.WARNING, logger="runtime"):
            restored = engine.restore(planes).get()
    finally:
        cupy.cuda.runtime.free(hoard)
    assert "ran out of memory with batches of 4096 patches" in caplog.text
    np.testing.assert_allclose(restored, expected, atol=5e-3)
