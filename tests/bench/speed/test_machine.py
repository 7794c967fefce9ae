import os

import pytest

from bench.speed.machine import attainable, describe_machine, usable_cores


def test_a_machine_is_described_without_names_of_folders():
    machine = describe_machine()
    assert set(machine) == {"processor", "cores", "memory_bytes", "load", "gpu", "system", "versions"}
    assert machine["processor"]
    assert 1 <= machine["cores"] == usable_cores() <= os.cpu_count()
    assert machine["memory_bytes"] > 2**28
    assert {"python", "numpy", "numba", "deblur-runtime"} <= set(machine["versions"])
    assert all(machine["versions"].values())
    assert os.path.expanduser("~") not in str(machine)
    assert os.getcwd() not in str(machine)


def test_attainable_rates_are_those_of_a_computer():
    rates = attainable("cpu", values=2**18, side=128)
    assert 1e7 < rates["bytes_per_second"] < 1e13
    assert 1e7 < rates["flops_per_second"] < 1e15
    assert set(rates) == {"bytes_per_second", "flops_per_second"}


@pytest.mark.gpu
def test_a_gpu_multiplies_half_precision_faster():
    rates = attainable("cuda", values=2**24, side=4096)
    assert rates["half_flops_per_second"] > rates["flops_per_second"]
