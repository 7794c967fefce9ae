"""The whole chain on a real GPU, held against the CPU: the same calls that `test_device_chain` makes without one."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import runtime
from runtime.inference.bundle import list_models, load_model
from runtime.inference.devices import CPU, Device, on_device
from runtime.inference.patch_engine import NetworkPatchModel, PatchEngine
from runtime.inference.session import open_session
from tests.runtime.robustness.test_device_chain import BLURRED, JOBS, models  # noqa: F401

CUDA = Device("cuda")
PARTS = [(bundle.name, part) for bundle in list_models() for part in bundle.parts]


def inputs_for(part, batch, rng):
    """Random inputs, every free size `batch` but for frames, of which there are 3, and sides of whole pictures."""
    sizes = {"frames": 3, "side": 24, "height": 32, "width": 48}
    return {
        spec.name: rng.random(
            [size if isinstance(size, int) else sizes.get(size, batch) for size in spec.shape], dtype=np.float32
        )
        for spec in part.inputs
    }


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_network_gives_what_it_gives_on_the_cpu(name, part, precision, rng):
    import cupy

    bundle = load_model(name)
    network = bundle.part(part)
    if precision not in network.graphs:
        pytest.skip(f"{name} has no {precision}")
    inputs = inputs_for(network, 33, rng)
    expected = open_session(bundle, part, device=CPU, precision="fp32").run(**inputs)
    there = {key: cupy.asarray(value) for key, value in inputs.items()}
    found = open_session(bundle, part, device=CUDA, precision=precision).run(**there)
    assert found.keys() == expected.keys()
    tolerance = 2e-4 if precision == "fp32" else 2e-2
    for key, value in expected.items():
        assert isinstance(found[key], cupy.ndarray)
        np.testing.assert_allclose(found[key].get(), value, atol=tolerance * max(1.0, float(np.abs(value).max())))


@pytest.mark.gpu
@pytest.mark.parametrize("end", ["", "close_sessions()", "del session; close_sessions()"])
def test_a_process_that_has_run_a_network_ends_in_peace(end):
    program = f"""
import cupy
from runtime.inference.bundle import load_model
from runtime.inference.devices import Device
from runtime.inference.session import close_sessions, open_session
session = open_session(load_model("chakrabarti-compact"), "network", device=Device("cuda"))
for _ in range(3):
    session.run(patches=cupy.zeros((16, 65, 65), cupy.float32))
{end}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.parametrize("name", JOBS)
def test_the_gpu_restores_as_the_cpu_does(models, name):  # noqa: F811
    import cupy

    expected = JOBS[name](models, BLURRED, "cpu").astype(float)
    found = JOBS[name](models, BLURRED, "cuda")
    assert isinstance(found, np.ndarray)
    there = JOBS[name](models, cupy.asarray(BLURRED), "cuda")
    assert isinstance(there, cupy.ndarray)
    # A kernel that is sought blind takes another way at the first rounding: what counts is the picture.
    limit = 4.0 if name.startswith(("deblur", "motion")) else 1.0
    for image in (found, there.get()):
        assert np.sqrt(np.mean(np.square(image - expected))) < limit


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_no_kernel_waits_in_the_neural_average(precision, rng):
    import cupy
    import cupyx

    planes = rng.random((3, 300, 400), dtype=np.float32)
    bundle = load_model("chakrabarti-compact")
    here = PatchEngine(NetworkPatchModel(bundle, device=CPU)).restore(planes, guide=planes[0])
    engine = PatchEngine(NetworkPatchModel(bundle, device=CUDA, precision=precision))
    there = cupy.asarray(planes)
    with on_device(CUDA):
        engine.restore(there, guide=there[0])
        with cupyx.allow_synchronize(False):
            restored = engine.restore(there, guide=there[0])
    np.testing.assert_allclose(restored.get(), here, atol=2e-4 if precision == "fp32" else 1e-2)


@pytest.mark.gpu
def test_many_threads_share_one_gpu(models):  # noqa: F811
    deblurrer = runtime.Deblurrer(model=models["patches"], device="cuda")
    images = [np.roll(BLURRED, 5 * number, axis=1) for number in range(12)]
    expected = [deblurrer.restore(image, nonblind="none").image for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: deblurrer.restore(image, nonblind="none").image, images))
    for restored, alone in zip(found, expected, strict=True):
        np.testing.assert_array_equal(restored, alone)
