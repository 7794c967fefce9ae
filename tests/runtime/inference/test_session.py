import json
import os
import pickle
import signal
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from kernels.cancellation import reporting
from runtime.errors import DeviceUnavailable, InvalidArgument, InvalidModel, OutOfMemory
from runtime.inference import graphs
from runtime.inference import session as sessions
from runtime.inference.bundle import MANIFEST, load_model, write_bundle
from runtime.inference.devices import CPU, Device
from tests.support.models import write_patch_bundle
from tests.support.networks import write_graph


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


def rewritten(bundle, change):
    """The bundle with its graph changed, and its checksum with it."""
    graph = onnx.load(bundle.path / "network.fp32.onnx")
    change(graph.graph)
    onnx.save(graph, bundle.path / "network.fp32.onnx")
    content = json.loads((bundle.path / MANIFEST).read_text())
    return write_bundle(
        bundle.path, {name: value for name, value in content.items() if name not in ("format", "files")}
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_an_error(tmp_path, patches, value):
    spectrum = np.ones((17, 9))
    spectrum[3, 4] = value
    bundle = write_patch_bundle(tmp_path / "nan", "filters", spectrum=spectrum)
    with pytest.raises(InvalidModel, match="output 'filters' holds NaN or infinity: its weights are damaged"):
        sessions.open_session(bundle, "network", device=CPU).run(patches=patches)


def test_an_input_that_is_not_finite_is_no_fault_of_the_network(bundle, patches):
    patches[0, 8, 8] = np.nan
    with pytest.raises(InvalidArgument, match="the input of part 'network' holds NaN or infinity"):
        sessions.open_session(bundle, "network", device=CPU).run(patches=patches)


def test_a_network_that_fails_is_an_error_of_one_line(bundle, patches, capfd):
    def reshape(graph):
        graph.initializer.append(numpy_helper.from_array(np.array([-1, 9, 9]), "shape"))
        del graph.node[:]
        graph.node.append(onnx.helper.make_node("Reshape", ["patches", "shape"], ["cores"]))

    session = sessions.open_session(rewritten(bundle, reshape), "network", device=CPU)
    with pytest.raises(InvalidModel, match=r"network\.fp32\.onnx: fails \(.*; export the model again") as caught:
        session.run(patches=patches)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("size", "expected"), [(7, 7), ("side", 40), ("side/8", 5), ("side-6", 34), ("side-50", 0)])
def test_the_size_of_an_output_follows_from_those_of_the_inputs(size, expected):
    assert sessions._output_size(size, {"side": 40}) == expected


def test_an_output_of_another_size_than_promised_is_refused(bundle, patches):
    def crop_by_the_batch(graph):
        graph.node.insert(0, onnx.helper.make_node("Shape", ["patches"], ["batch"], end=1))
        graph.node.insert(1, onnx.helper.make_node("Concat", ["batch", "batch"], ["starts"], axis=0))
        graph.initializer.remove(next(tensor for tensor in graph.initializer if tensor.name == "starts"))
        del graph.output[0].type.tensor_type.shape.dim[1:]
        for name in ("rows", "columns"):
            graph.output[0].type.tensor_type.shape.dim.add(dim_param=name)

    session = sessions.open_session(rewritten(bundle, crop_by_the_batch), "network", device=CPU)
    with pytest.raises(InvalidModel, match=r"output 'cores' is float32 \(5, 8, 8\), not float32 \(5, 9, 9\)"):
        session.run(patches=patches)


def test_a_manifest_that_changed_makes_another_session(bundle):
    first = sessions.open_session(bundle, "network", device=CPU)
    content = json.loads((bundle.path / MANIFEST).read_text())
    content["parts"]["network"]["inputs"][0]["name"] = "images"
    (bundle.path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InvalidModel, match="has the inputs"):
        sessions.open_session(load_model(bundle.path), "network", device=CPU)
    assert sessions.open_session(bundle, "network", device=CPU) is first


def test_a_precision_without_a_graph_is_refused(bundle):
    part = bundle.part("network")
    only_half = replace(bundle, parts={"network": replace(part, graphs={"fp16": part.graphs["fp32"]}, parity={})})
    with pytest.raises(InvalidArgument, match="this model has fp16"):
        sessions.open_session(only_half, "network", device=CPU, precision="fp32")
    assert sessions.open_session(only_half, "network", device=CPU).precision == "fp16"
    for wrong in ("double", [], 3, None):
        with pytest.raises(InvalidArgument, match="give one of auto, fp32, fp16"):
            sessions.open_session(bundle, "network", device=CPU, precision=wrong)


def test_a_long_run_is_ended_by_the_callback(rng):
    """The repair network on 2 megapixels, which takes seconds."""
    session = sessions.open_session(load_model("repair"), "repair", device=CPU, precision="fp32")
    planes, calls = rng.random((1, 3, 1440, 1440), np.float32), []

    def end(stage, fraction):
        calls.append(time.perf_counter())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), reporting(end):
        session.run(planes=planes, facts=np.zeros((1, 3), np.float32))
    assert len(calls) == 1
    assert time.perf_counter() - calls[0] < 10  # a bound for a hang alone


def test_memory_that_runs_out_is_recognised():
    for error in (MemoryError(), OutOfMemory("x")):
        assert sessions.is_out_of_memory(error)
    assert not sessions.is_out_of_memory(ValueError("out of memory"))


def test_a_session_that_is_there_is_used(bundle, patches):
    part = bundle.part("network")
    made = sessions.Session(part, device=CPU, precision="fp32")
    again = sessions.Session(part, device=CPU, precision="fp32", session=made.bare)
    assert again.bare is made.bare
    np.testing.assert_array_equal(again.run(patches=patches)["cores"], made.run(patches=patches)["cores"])


def test_an_input_may_have_any_name(tmp_path, rng):
    shape = ["n", 1, "h", "w"]
    node = helper.make_node("Identity", ["self"], ["y"])
    graph = write_graph(tmp_path / "self.onnx", [node], {}, {"self": shape}, {"y": shape})
    tensors = [(sessions.TensorSpec(name, "float32", ("n", 1, "h", "w")),) for name in ("self", "y")]
    part = sessions.Part("network", {"fp32": graph}, 21, *tensors, {})
    given = rng.random((2, 1, 5, 6), dtype=np.float32)
    np.testing.assert_array_equal(sessions.Session(part, device=CPU, precision="fp32").run(self=given)["y"], given)
