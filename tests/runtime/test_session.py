import os
import pickle
import threading

import numpy as np
import pytest

from runtime import session as sessions
from runtime.devices import CPU
from runtime.errors import InvalidArgument, InvalidModel
from tests.runtime.models import write_patch_bundle


@pytest.fixture
def bundle(tmp_path):
    return write_patch_bundle(tmp_path / "identity", "cores")


@pytest.fixture
def patches(rng):
    return rng.random((5, 17, 17), dtype=np.float32)


def test_runs_the_network(bundle, patches):
    session = sessions.open_session(bundle, "network", device=CPU)
    np.testing.assert_array_equal(session.run(patches=patches)["cores"], patches[:, 4:13, 4:13])


def test_is_made_once_and_shared(bundle):
    first = sessions.open_session(bundle, "network", device=CPU)
    assert sessions.open_session(bundle, "network", device=CPU, precision="fp32") is first
    sessions.close_sessions()
    assert sessions.open_session(bundle, "network", device=CPU) is not first


def test_many_threads_get_one_session_and_right_answers(bundle, rng):
    inputs = [rng.random((n, 17, 17), dtype=np.float32) for n in range(1, 9)]
    seen, answers = set(), [None] * len(inputs)

    def work(index):
        session = sessions.open_session(bundle, "network", device=CPU)
        seen.add(id(session))
        answers[index] = session.run(patches=inputs[index])["cores"]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1
    for given, answer in zip(inputs, answers, strict=True):
        np.testing.assert_array_equal(answer, given[:, 4:13, 4:13])


def test_a_forked_child_makes_its_own(bundle, patches):
    parents = sessions.open_session(bundle, "network", device=CPU)
    expected = parents.run(patches=patches)["cores"]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            own = sessions.open_session(bundle, "network", device=CPU)
            equal = np.array_equal(own.run(patches=patches)["cores"], expected)
            os.write(write, pickle.dumps((own is parents, equal)))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        shared, equal = pickle.loads(stream.read())
    os.waitpid(child, 0)
    assert not shared
    assert equal


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "takes the inputs patches, not none"),
        ({"other": np.zeros((1, 17, 17), np.float32)}, "not other"),
        ({"patches": np.zeros((1, 17, 16), np.float32)}, r"takes C-contiguous float32 \('batch', 17, 17\)"),
        ({"patches": np.zeros((17, 17), np.float32)}, "C-contiguous"),
        ({"patches": np.zeros((1, 17, 17))}, "is float64"),
        ({"patches": np.zeros((17, 17, 2), np.float32).transpose(2, 0, 1)}, "C-contiguous"),
    ],
)
def test_bad_inputs_are_named(bundle, inputs, message):
    with pytest.raises(InvalidArgument, match=message):
        sessions.open_session(bundle, "network", device=CPU).run(**inputs)


def test_an_unknown_precision_is_named(bundle):
    with pytest.raises(InvalidArgument, match="this model has fp32"):
        sessions.open_session(bundle, "network", device=CPU, precision="fp16")


def test_a_graph_that_does_not_load_is_named(tmp_path):
    bundle = write_patch_bundle(tmp_path / "broken", "cores")
    (bundle.path / "network.fp32.onnx").write_bytes(b"not a graph")
    with pytest.raises(InvalidModel, match=r"network\.fp32\.onnx: ONNX Runtime .* cannot load it"):
        sessions.open_session(bundle, "network", device=CPU)
