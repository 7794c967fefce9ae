import os
import pickle
import signal
import threading
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

from runtime.errors import DeviceUnavailable, InvalidArgument, InvalidModel
from runtime.inference import graphs
from runtime.inference import session as sessions
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU, Device
from tests.support.models import write_patch_bundle


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


def in_fork(work):
    """Start `work` in a forked process; return a function that returns its result, or raises if it does not end."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            os.write(write, pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(write)

    def finish():
        with os.fdopen(read, "rb") as stream:
            answer = stream.read()
        os.waitpid(child, 0)
        return pickle.loads(answer)

    return finish


def test_a_forked_child_goes_on_with_the_parents_sessions(rng):
    """With a network large enough for ONNX Runtime to run it in several threads, which a fork does not copy."""
    patches = rng.random((64, 65, 65), dtype=np.float32)
    parents = sessions.open_session(load_model("chakrabarti-compact"), "network", device=CPU)
    expected = parents.run(patches=patches)["filters"]
    assert in_fork(lambda: np.array_equal(parents.run(patches=patches)["filters"], expected))()
    np.testing.assert_array_equal(parents.run(patches=patches)["filters"], expected)


def test_two_processes_work_at_once(bundle, patches):
    expected = sessions.open_session(bundle, "network", device=CPU).run(patches=patches)["cores"]

    def work():
        session = sessions.open_session(bundle, "network", device=CPU)
        return all(np.array_equal(session.run(patches=patches)["cores"], expected) for _ in range(20))

    children = [in_fork(work) for _ in range(2)]
    assert all(finish() for finish in children)


def failing(message, error=RuntimeError):
    class InferenceSession:
        def __init__(self, *arguments, **options):
            assert options["enable_fallback"] is False
            raise error(message)

    return InferenceSession


CUDA = Device("cuda")


@pytest.fixture
def no_gpu_needed(monkeypatch):
    monkeypatch.setattr(graphs, "work_stream", lambda device: SimpleNamespace(ptr=1))
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcublasLt.so.13"))


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("cuDNN is unavailable for CUDA Execution Provider: cuDNN library was not found", "nvidia-cudnn-cu13"),
        ("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0", "NVIDIA driver"),
    ],
)
def test_a_library_that_keeps_cuda_from_starting_is_named(no_gpu_needed, monkeypatch, bundle, message, remedy, capsys):
    monkeypatch.setattr(onnxruntime, "InferenceSession", failing(message))
    with pytest.raises(DeviceUnavailable, match=f"does not start on cuda:0: .*{remedy}"):
        sessions.Session(bundle.part("network"), device=CUDA, precision="fp32")
    assert capsys.readouterr().out == ""


def test_a_graph_that_does_not_load_on_cuda_is_no_matter_of_libraries(no_gpu_needed, monkeypatch, bundle):
    monkeypatch.setattr(onnxruntime, "InferenceSession", failing("Protobuf parsing failed."))
    with pytest.raises(InvalidModel, match=r"cannot load it: Protobuf parsing failed\."):
        sessions.Session(bundle.part("network"), device=CUDA, precision="fp32")


def test_a_fall_back_to_the_cpu_is_an_error_that_names_the_library(no_gpu_needed, monkeypatch, bundle):
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda *arguments, **options: SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"]),
    )
    monkeypatch.setattr(graphs, "missing_library", lambda: "libcurand.so.10 is missing: pip install nvidia-curand")
    with pytest.raises(DeviceUnavailable, match=r"on cuda:0: libcurand\.so\.10 is missing: pip install nvidia-curand"):
        sessions.Session(bundle.part("network"), device=CUDA, precision="fp32")


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
