import dataclasses

import numpy as np
import pytest

from bench.data.models import open_model
from bench.speed import network
from bench.speed.network import SESSION, Variant, load_torch_network, measure_network
from runtime.errors import InvalidModel
from runtime.inference.devices import CPU
from runtime.inference.session import Session

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def untrained(tiny_config):
    with open_model(str(tiny_config)) as made:
        yield made


def test_the_torch_network_gets_the_weights_of_the_bundle(untrained, rng):
    patches = rng.random((5, 65, 65), np.float32)
    expected = Session(untrained.part("network"), device=CPU, precision="fp32").run(patches=patches)["filters"]
    with torch.inference_mode():
        filters = load_torch_network(untrained)(torch.from_numpy(patches)).numpy()
    np.testing.assert_allclose(filters, expected, atol=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 1e-4


def test_a_bundle_that_does_not_say_how_it_is_built_is_refused(untrained, bundle):
    with pytest.raises(InvalidModel, match="no-torch"):
        load_torch_network(bundle)
    other = {**untrained.training["config"], "network": {"style": "residual", "first": 4, "second": 4, "full": 8}}
    wrong = dataclasses.replace(untrained, training={"config": other})
    with pytest.raises(InvalidModel, match="holds no weight"):
        load_torch_network(wrong)


def test_ways_are_compared_on_the_same_patches(untrained, monkeypatch):
    monkeypatch.setattr(network, "MIN_SECONDS", 0.001)
    seen = []

    def variants(module, patches):
        seen.append(patches)
        yield Variant("eager", "fp32"), lambda: module(torch.from_numpy(patches)).numpy()
        yield Variant("wrong", "bf16"), lambda: np.zeros((len(patches), 2, 65, 33), np.float32)
        yield Variant("broken", "fp32"), lambda: 1 / 0

    monkeypatch.setattr(network, "_torch_variants", variants)
    rows = measure_network(str(untrained.path), batches=[3, 5], repeats=2)
    assert [len(patches) for patches in seen] == [3, 5]
    assert np.ptp(seen[0].mean((1, 2))) > 0.05
    assert [(row["runs"], row["batch"]) for row in rows[:4]] == [
        ("session", 3),
        ("eager", 3),
        ("wrong", 3),
        ("broken", 3),
    ]
    session, eager, wrong, broken = rows[:4]
    assert (session["runs"], session["precision"]) == SESSION
    assert session["max_abs_difference"] == 0
    assert eager["max_abs_difference"] < 1e-4
    assert wrong["max_abs_difference"] > 0.5
    assert broken["problem"] == "ZeroDivisionError: division by zero"
    # The rival is the quickest in float32, however quick another precision may be.
    ratio = session["seconds_per_patch"]["median"] / eager["seconds_per_patch"]["median"]
    assert session["time_over_pytorch"] == pytest.approx(ratio)
    assert session["patches_per_second"] == pytest.approx(1 / session["seconds_per_patch"]["median"])


def test_torch_runs_the_network_in_either_precision(untrained, monkeypatch, rng):
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    module, patches = load_torch_network(untrained), rng.random((4, 65, 65), np.float32)
    results = {variant: work() for variant, work in network._torch_variants(module, patches)}
    assert {variant.precision for variant in results} == {"fp32", "bf16"}
    exact = results[Variant("PyTorch eager", "fp32")]
    assert all(result.dtype == np.float32 and result.shape == (4, 2, 65, 33) for result in results.values())
    for variant, result in results.items():
        difference = np.abs(result - exact).max()
        assert difference == 0 if variant.precision == "fp32" else 0 < difference < 0.1
