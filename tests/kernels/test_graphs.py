import logging
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import cancellation, transforms
from kernels.arrays import array_module
from kernels.cancellation import Cancelled, reporting
from kernels.cuda import graphs
from kernels.device_tables import constants
from kernels.edges import forward_differences
from kernels.graphs import replayed
from tests.support import cuda_stand_in
from tests.support.cuda_emulator import MISSING_COMPILER

needs_compiler = pytest.mark.skipif(MISSING_COMPILER is not None, reason=str(MISSING_COMPILER))


def smoothed_edges(plane, weight, start, *, rounds):
    """A bit of everything that a solver does: transforms, kernels, tables, views, sums, and writing in place."""
    xp = array_module(plane)
    (table,) = constants(plane, _ramp, plane.shape[1])
    estimate = xp.zeros_like(plane) if start is None else start.copy()
    for _ in range(rounds):
        spectrum = transforms.rfft2(plane + weight * estimate)
        estimate = transforms.irfft2(xp.multiply(spectrum, spectrum.conj()), plane.shape[1]) * table
        estimate[1:] -= estimate[:-1].mean()
        estimate /= abs(estimate).max()
    edges = forward_differences(xp.ascontiguousarray(estimate.T))
    return edges, xp.square(edges).sum(dtype=np.float64), estimate


def _ramp(size):
    return (np.linspace(1, 2, size, dtype=np.float32),)


def unlike(plane):
    """A function that does not do the same each time, as none should."""
    unlike.calls += 1
    return (plane * unlike.calls,)


unlike.calls = 0


def remembering(plane):
    """A function that does a part of its work outside of what is captured."""
    if graphs.kept_by_capture() is None:
        remembering.total = plane.sum()
    return (plane * remembering.total,)


def waiting(plane):
    return (plane * float(plane.max()),)


def uploading(plane):
    return (plane * array_module(plane).asarray(np.ones(plane.shape, np.float32)),)


def sorting(plane):
    return (array_module(plane).sort(plane, axis=1),)


def multiplying(plane):
    return (plane @ plane,)


def cancelled_while_captured(plane):
    if graphs.kept_by_capture() is not None:
        raise Cancelled
    return (2 * plane,)


def reporting_at_once(plane):
    """As after a tenth of a second without a report."""
    pulse = cancellation._pulse.get()
    if pulse is not None:
        pulse._called = -np.inf
    cancellation.checkpoint()
    return (2 * plane,)


def failing(plane):
    raise ValueError("no result")


@pytest.fixture
def cupy(monkeypatch):
    """CuPy's stand-in, with a stream like that of a restoration, and what it counts."""
    traffic = cuda_stand_in.install(monkeypatch)
    import cupy

    cupy.traffic = traffic
    with cupy.cuda.Stream(non_blocking=True):
        yield cupy
    cuda_stand_in.forget()


def scene(seed, shape=(6, 8)):
    rng = np.random.default_rng(seed)
    return rng.random(shape, np.float32), np.full((), rng.random(), np.float32), rng.random(shape, np.float32)


def test_numpy_arrays_go_to_the_function_itself():
    found = replayed(smoothed_edges, *scene(0), rounds=2)
    for each, expected in zip(found, smoothed_edges(*scene(0), rounds=2), strict=True):
        np.testing.assert_array_equal(each, expected)


@needs_compiler
@given(
    rounds=st.integers(0, 3), shape=st.tuples(st.integers(2, 9), st.integers(2, 9)), started=st.booleans(),
    seeds=st.lists(st.integers(0, 99), min_size=graphs.CALLS + 2, max_size=graphs.CALLS + 4),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_every_call_gives_what_the_function_gives(rounds, shape, started, seeds):
    with pytest.MonkeyPatch.context() as patch:
        traffic = cuda_stand_in.install(patch)
        import cupy

        with cupy.cuda.Stream(non_blocking=True):
            kept = []
            for seed in seeds:
                plane, weight, start = scene(seed, shape)
                arrays = [plane, weight, start if started else None]
                there = [None if array is None else cupy.asarray(array) for array in arrays]
                found = replayed(smoothed_edges, *there, rounds=rounds)
                kept.append((found, smoothed_edges(*arrays, rounds=rounds)))
            assert traffic.replays == len(seeds) - graphs.CALLS + 1
            # Compared at the end: no call may change what another one has returned.
            for found, expected in kept:
                for each, wanted in zip(found, expected, strict=True):
                    np.testing.assert_allclose(each.get(), wanted, rtol=1e-4, atol=1e-4)
        cuda_stand_in.forget()


@needs_compiler
def test_a_graph_is_one_launch_beside_copies_in_and_out(cupy):
    arrays = [cupy.asarray(array) for array in scene(0)]
    for _ in range(graphs.CALLS + 1):
        replayed(smoothed_edges, *arrays, rounds=2)
    cupy.traffic.clear()
    results = replayed(smoothed_edges, *arrays, rounds=2)
    assert cupy.traffic.operations == len(arrays) + 1 + len(results)
    assert cupy.traffic.transforms == 0
    assert cupy.traffic.waits == []


@needs_compiler
def test_results_and_arguments_belong_to_the_caller(cupy):
    arrays = [cupy.asarray(array) for array in scene(0)]
    for _ in range(graphs.CALLS + 2):
        results = replayed(smoothed_edges, *arrays, rounds=1)
        results[2][...] = np.nan
    for array, before in zip(arrays, scene(0), strict=True):
        np.testing.assert_array_equal(array.get(), before)


@needs_compiler
def test_other_shapes_types_and_settings_have_graphs_of_their_own(cupy):
    for rounds, shape in ((1, (4, 6)), (2, (4, 6)), (1, (6, 4))):
        for seed in range(graphs.CALLS + 2):
            arrays = scene(seed, shape)
            found = replayed(smoothed_edges, *map(cupy.asarray, arrays), rounds=rounds)
            expected = smoothed_edges(*arrays, rounds=rounds)
            np.testing.assert_allclose(found[2].get(), expected[2], rtol=1e-4, atol=1e-4)


@needs_compiler
@pytest.mark.parametrize("function", [waiting, uploading, sorting, multiplying])
def test_what_cannot_be_captured_runs_as_it_is_and_says_why(cupy, function, caplog):
    plane = np.arange(9, dtype=np.float32).reshape(3, 3)
    with caplog.at_level(logging.WARNING):
        for _ in range(graphs.CALLS + 3):
            (found,) = replayed(function, cupy.asarray(plane))
            np.testing.assert_array_equal(found.get(), function(plane)[0])
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        f"{function.__name__} runs without a CUDA graph"
    ]


def test_a_graph_that_gives_something_else_is_not_used(cupy, caplog):
    plane = cupy.asarray(np.ones((2, 2), np.float32))
    unlike.calls = 0
    for call in range(1, graphs.CALLS + 1):
        assert float(replayed(unlike, plane)[0][0, 0]) == call
    assert float(replayed(unlike, plane)[0][0, 0]) == graphs.CALLS + 1
    assert "gave other results" in caplog.text
    # That of other arrays and the capture were calls, too.
    assert float(replayed(unlike, plane)[0][0, 0]) == graphs.CALLS + 4
    assert unlike.calls == graphs.CALLS + 4


def test_neither_is_one_that_keeps_a_part_of_the_first_arrays(cupy, caplog):
    for value in range(1, graphs.CALLS + 4):
        plane = np.full((2, 2), value, np.float32)
        np.testing.assert_array_equal(replayed(remembering, cupy.asarray(plane))[0].get(), 4 * plane**2)
    assert "gave other results" in caplog.text


def test_a_cancelled_capture_is_cancelled_and_no_reason_to_do_without(cupy):
    plane = cupy.asarray(np.ones((2, 2), np.float32))
    for _ in range(graphs.CALLS):
        replayed(cancelled_while_captured, plane)
    with pytest.raises(Cancelled):
        replayed(cancelled_while_captured, plane)
    assert cancelled_while_captured not in graphs.recorder()._refused


def test_progress_is_not_reported_while_a_function_is_captured(cupy):
    called = []
    with reporting(lambda stage, fraction: called.append(graphs.kept_by_capture())):
        for _ in range(graphs.CALLS + 2):
            replayed(reporting_at_once, cupy.asarray(np.ones((2, 2), np.float32)))
    assert len(called) == graphs.CALLS + 2  # and the one with other arrays, but neither the capture nor the graph
    assert called == [None] * len(called)


def test_errors_of_the_function_are_raised_at_every_call(cupy):
    for _ in range(graphs.CALLS + 2):
        with pytest.raises(ValueError, match="no result"):
            replayed(failing, cupy.asarray(np.ones((2, 2), np.float32)))


@needs_compiler
def test_graphs_inside_of_a_graph_are_a_part_of_it(cupy):
    arrays = [cupy.asarray(array) for array in scene(0)]
    for _ in range(graphs.CALLS + 1):
        replayed(_outer, *arrays)
    cupy.traffic.clear()
    found = replayed(_outer, *arrays)
    assert cupy.traffic.replays == 1
    np.testing.assert_allclose(found[0].get(), 2 * smoothed_edges(*scene(0), rounds=1)[0], rtol=1e-4, atol=1e-4)


def _outer(*arrays):
    return (2 * replayed(smoothed_edges, *arrays, rounds=1)[0],)


@needs_compiler
def test_the_environment_switches_graphs_off(cupy, monkeypatch):
    monkeypatch.setenv("DEBLUR_CUDA_GRAPHS", "0")
    for seed in range(graphs.CALLS + 2):
        replayed(smoothed_edges, *map(cupy.asarray, scene(seed)), rounds=1)
    assert cupy.traffic.replays == 0


@needs_compiler
def test_graphs_are_dropped_when_they_take_too_much_memory(cupy, monkeypatch):
    recorder = graphs.recorder()
    for rounds in (1, 2):
        for seed in range(graphs.CALLS + 1):
            replayed(smoothed_edges, *map(cupy.asarray, scene(seed)), rounds=rounds)
        assert cupy.traffic.replays == 2 * rounds
        monkeypatch.setattr(recorder._pool, "used_bytes", lambda: recorder._most_bytes + 1, raising=False)
    cupy.traffic.clear()
    replayed(smoothed_edges, *map(cupy.asarray, scene(5)), rounds=1)
    assert cupy.traffic.replays == 0  # Dropped for the other,
    replayed(smoothed_edges, *map(cupy.asarray, scene(5)), rounds=2)
    assert cupy.traffic.replays == 1  # which stays.
    graphs.forget_graphs(0)
    replayed(smoothed_edges, *map(cupy.asarray, scene(5)), rounds=2)
    assert cupy.traffic.replays == 1


def test_few_kinds_of_calls_are_remembered(cupy, monkeypatch):
    monkeypatch.setattr(graphs, "_KINDS", 5)
    for size in range(1, 9):
        replayed(reporting_at_once, cupy.asarray(np.ones((size, 2), np.float32)))
    kept = [kind.shape[0] for call in graphs.recorder()._graphs for kind in call.kinds]
    assert kept == [4, 5, 6, 7, 8]


@needs_compiler
def test_threads_take_turns(cupy):
    expected = smoothed_edges(*scene(0), rounds=2)[2]
    wrong = []

    def work():
        for _ in range(6):
            found = replayed(smoothed_edges, *map(cupy.asarray, scene(0)), rounds=2)[2]
            if not np.allclose(found.get(), expected, rtol=1e-4, atol=1e-4):
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.gpu
def test_a_graph_on_a_gpu_gives_what_the_function_gives():
    import cupy

    with cupy.cuda.Stream(non_blocking=True):
        for seed in range(graphs.CALLS + 4):
            arrays = scene(seed, (96, 100))
            found = replayed(smoothed_edges, *map(cupy.asarray, arrays), rounds=3)
            for each, expected in zip(found, smoothed_edges(*arrays, rounds=3), strict=True):
                np.testing.assert_allclose(cupy.asnumpy(each), expected, rtol=1e-3, atol=1e-3)
        assert smoothed_edges not in graphs.recorder()._refused
