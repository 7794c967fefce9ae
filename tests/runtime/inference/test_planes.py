import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidArgument, InvalidModel, OutOfMemory
from runtime.inference import patch_engine
from runtime.inference.bundle import Bundle, load_model, write_bundle
from runtime.inference.devices import CPU, Device
from runtime.inference.planes import CHANNELS, PixelAssumptions, PlanesEngine, open_planes_model
from runtime.inference.progress import Stopwatch
from tests.support import cuda_stand_in
from tests.support.networks import write_network

SIZE, CORE, STRIDE = 16, 10, 6


def write_planes_bundle(folder, does="identity", *, batch="batch", dtype="float32", given=SIZE, patch=None, **assumes):
    """A bundle of method "patches", written by hand."""
    folder.mkdir(parents=True)
    pixels = PixelAssumptions(**assumes)
    first = None if batch == "batch" else batch
    write_network(folder / "n.onnx", does, channels=pixels.channels, sizes=(first, None, None), dtype=dtype)
    shape = [batch, pixels.channels, SIZE, SIZE]
    precision = "fp16" if dtype == "float16" else "fp32"
    part = {
        "graphs": {precision: "n.onnx"},
        "opset": 21,
        "inputs": [{"name": "x", "type": dtype, "shape": shape}],
        "outputs": [{"name": "y", "type": dtype, "shape": [*shape[:2], given, given]}],
        "parity": {},
    }
    return write_bundle(
        folder,
        {
            "name": "n", "version": "1", "method": "patches", "description": "", "licence": "",
            "parts": {"network": part}, "patch": patch or {"size": SIZE, "core": CORE, "stride": STRIDE},
            "assumes": {name: list(value) if isinstance(value, tuple) else value for name, value in assumes.items()},
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Opens bundles that do one thing, each once."""
    models = {}

    def open_one(does="identity", *, device=CPU, **options):
        key = (does, device, tuple(sorted(options.items())))
        if key not in models:
            bundle = write_planes_bundle(tmp_path_factory.mktemp("planes") / "bundle", does, **options)
            models[key] = open_planes_model(bundle, device=device)
        return models[key]

    return open_one


@settings(max_examples=60, deadline=None)
@given(
    colour=st.sampled_from(sorted(CHANNELS)),
    planes=st.sampled_from([1, 3]),
    units=st.sampled_from(
        [
            {},
            {"range": (0.0, 255.0)},
            {"range": (-1.0, 1.0)},
            {"range": (1.0, 0.0)},
            {"mean": (0.4,), "std": (0.2,)},
            {"range": (0.0, 255.0), "mean": (103.9,), "std": (57.4,)},
        ]
    ),
    network=st.sampled_from(["identity", "add", "subtract"]),
    batch_of_graph=st.sampled_from(["batch", 1, 3]),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    stride=st.integers(1, CORE),
    batch=st.one_of(st.none(), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_identity_network_gives_the_photograph_back(
    opened, colour, planes, units, network, batch_of_graph, height, width, stride, batch, seed
):
    residual = {} if network == "identity" else {"residual": network}
    does = "identity" if network == "identity" else "nothing"
    model = opened(does, colour=colour, batch=batch_of_graph, **units, **residual)
    photograph = np.random.default_rng(seed).random((planes, height, width), dtype=np.float32)
    restored = PlanesEngine(model, batch=batch).restore(photograph, stride=stride)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, photograph, atol=3e-6)


@settings(max_examples=40, deadline=None)
@given(
    colour=st.sampled_from(["rgb", "bgr", "grey"]),
    planes=st.sampled_from([1, 3]),
    units=st.sampled_from([{}, {"range": (0.0, 255.0)}, {"mean": (0.4,), "std": (0.2,)}]),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    stride=st.integers(1, CORE),
    batch=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_there_are_no_seams_where_a_network_sees_no_further_than_the_margin(
    opened, colour, planes, units, height, width, stride, batch, seed
):
    photograph = np.random.default_rng(seed).random((planes, height, width), dtype=np.float32)
    restored = PlanesEngine(opened("mean", colour=colour, **units), batch=batch).restore(photograph, stride=stride)
    np.testing.assert_allclose(restored, means_of(photograph), atol=3e-6)


def means_of(photograph):
    """Means of 5 x 5 pixels, mirrored beyond the border."""
    around = np.pad(photograph, ((0, 0), (2, 2), (2, 2)), mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(around, (5, 5), axis=(1, 2)).mean(axis=(3, 4))


@pytest.mark.parametrize("colour", ["rgb", "grey"])
def test_half_precision_gives_the_photograph_back_but_for_its_rounding(opened, rng, colour):
    photograph = rng.random((3, 40, 33), dtype=np.float32)
    model = opened(dtype="float16", colour=colour, range=(0.0, 255.0))
    np.testing.assert_allclose(PlanesEngine(model).restore(photograph), photograph, atol=2**-11)


def test_channels_are_in_the_order_of_the_network(opened, rng):
    photograph = rng.random((3, 20, 20), dtype=np.float32)
    for colour, kept in (("rgb", 0), ("bgr", 2)):
        restored = PlanesEngine(opened("first-only", colour=colour)).restore(photograph)
        expected = np.zeros_like(photograph)
        expected[kept] = photograph[kept]
        np.testing.assert_allclose(restored, expected, atol=1e-6)


def test_each_channel_has_its_own_mean_in_the_order_of_the_network(opened):
    """The network sees zero where a channel has its mean, and gives no more than that back."""
    model = opened("nothing", colour="bgr", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    restored = PlanesEngine(model).restore(np.zeros((3, 12, 12), np.float32))
    np.testing.assert_allclose(
        restored, np.broadcast_to(np.array([0.3, 0.2, 0.1])[:, None, None], restored.shape), atol=1e-6
    )


def test_of_a_grey_photograph_the_mean_of_all_channels_is_taken(opened, rng):
    photograph = rng.random((1, 20, 20), dtype=np.float32)
    restored = PlanesEngine(opened("first-only", colour="rgb")).restore(photograph)
    np.testing.assert_allclose(restored, photograph / 3, atol=1e-6)


@pytest.mark.parametrize("residual", [{}, {"residual": "add"}])
def test_what_a_network_takes_off_the_border_is_not_missed(opened, rng, residual):
    photograph = rng.random((3, 30, 34), dtype=np.float32)
    model = opened("mean-inside", given=SIZE - 4, **residual)
    expected = means_of(photograph) + (photograph if residual else 0)
    np.testing.assert_allclose(PlanesEngine(model).restore(photograph), expected, atol=3e-6)


def test_the_result_does_not_depend_on_the_batch(opened, rng):
    photograph = rng.random((3, 60, 45), dtype=np.float32)
    whole = PlanesEngine(opened("mean"), batch=1000).restore(photograph)
    for batch in (1, 7):
        np.testing.assert_allclose(PlanesEngine(opened("mean"), batch=batch).restore(photograph), whole, atol=1e-6)


def test_a_batch_is_as_large_as_the_graph_says_whatever_is_left(opened, rng, monkeypatch):
    model = opened("mean", batch=3)
    sizes, run = [], model.session.run

    def counted(**inputs):
        sizes.append(len(inputs["x"]))
        return run(**inputs)

    monkeypatch.setattr(model.session, "run", counted)
    photograph = rng.random((3, 10, 40), dtype=np.float32)
    free = PlanesEngine(opened("mean")).restore(photograph, stride=6)
    np.testing.assert_allclose(PlanesEngine(model, batch=4).restore(photograph, stride=6), free, atol=1e-6)
    assert set(sizes) == {3}


def test_stages_and_progress_are_reported(opened, rng):
    watch, calls = Stopwatch(), []
    PlanesEngine(opened(), batch=4).restore(
        rng.random((3, 40, 40), dtype=np.float32), stopwatch=watch, progress=lambda *call: calls.append(call)
    )
    assert list(watch.seconds()) == ["extract", "convert", "network", "overlap-add"]
    assert {stage for stage, _ in calls} == {"patches"}
    assert len(calls) > 2
    assert calls[-1][1] == 1


def test_a_caller_that_has_enough_ends_the_work(opened, rng):
    class Enough(Exception):
        pass

    def progress(stage, fraction):
        raise Enough

    with pytest.raises(Enough):
        PlanesEngine(opened(), batch=1).restore(rng.random((3, 40, 40), dtype=np.float32), progress=progress)


def test_out_of_memory_halves_the_batch_unless_it_was_asked_for(opened, rng, monkeypatch):
    model = opened("mean")
    run = model.session.run

    def limited(**inputs):
        if len(inputs["x"]) > 5:
            raise MemoryError("no more")
        return run(**inputs)

    photograph = rng.random((3, 60, 60), dtype=np.float32)
    expected = PlanesEngine(model).restore(photograph)
    monkeypatch.setattr(model.session, "run", limited)
    np.testing.assert_allclose(PlanesEngine(model).restore(photograph), expected, atol=1e-6)
    with pytest.raises(OutOfMemory, match="a batch of 8 patches"):
        PlanesEngine(model, batch=8).restore(photograph)


def test_what_a_batch_that_did_not_fit_has_taken_is_free_for_a_smaller_one(opened, rng, monkeypatch):
    model = opened("mean")
    run, taken, alive = model.session.run, [], []

    def limited(**inputs):
        if len(inputs["x"]) > 5:
            taken.append(weakref.ref(inputs["x"].base))
            raise MemoryError("no more")
        return run(**inputs)

    monkeypatch.setattr(model.session, "run", limited)
    monkeypatch.setattr(
        patch_engine, "free_unused_memory", lambda device: alive.extend(each() is not None for each in taken)
    )
    PlanesEngine(model).restore(rng.random((3, 60, 60), dtype=np.float32))
    assert alive
    assert not any(alive)


@pytest.mark.parametrize("options", [{"colour": "bgr", "range": (0.0, 255.0)}, {"colour": "grey", "batch": 3}])
def test_a_gpu_gives_the_same(stand_in, opened, rng, options, tmp_path):
    photograph = rng.random((3, 45, 30), dtype=np.float32)
    expected = PlanesEngine(opened("mean", **options)).restore(photograph)
    bundle = write_planes_bundle(tmp_path / "bundle", "mean", **options)
    model = open_planes_model(bundle, device=Device("cuda"))
    on_gpu = cuda_stand_in.ndarray(photograph)
    stand_in.clear()
    restored = PlanesEngine(model).restore(on_gpu)
    np.testing.assert_allclose(restored.array, expected, atol=2e-6)
    assert not stand_in.downloads


@pytest.mark.parametrize(
    "options",
    [
        {"given": SIZE - 3},
        {"given": CORE - 2},
        {"patch": {"size": SIZE + 2, "core": CORE, "stride": STRIDE}},
        {"dtype": "uint8"},
    ],
)
def test_a_part_that_is_none_from_patches_to_patches_is_refused(tmp_path, options):
    if options.get("dtype") == "uint8":
        bundle = write_planes_bundle(tmp_path / "bundle")
        manifest = (tmp_path / "bundle" / "bundle.json").read_text().replace('"float32"', '"uint8"')
        (tmp_path / "bundle" / "bundle.json").write_text(manifest)
        bundle = load_model(tmp_path / "bundle")
    else:
        bundle = write_planes_bundle(tmp_path / "bundle", **options)
    with pytest.raises(InvalidModel, match=r"its network takes .* pack it again"):
        open_planes_model(bundle, device=CPU)


def test_a_bundle_without_patches_is_refused(tmp_path):
    bundle = write_planes_bundle(tmp_path / "bundle")
    without = Bundle(**{**vars(bundle), "patch": None})
    with pytest.raises(InvalidModel, match="no patch geometry"):
        open_planes_model(without, device=CPU)


@pytest.mark.parametrize(
    ("assumes", "message"),
    [
        ({"colour": "cmyk"}, "colour 'cmyk' is none of rgb, bgr, grey, y"),
        ({"residual": "times"}, "none of none, add, subtract"),
        ({"range": (0.5, 0.5)}, "which differ"),
        ({"range": (0.0, 1e9)}, "finite numbers"),
        ({"mean": (0.1, 0.2)}, "one number or 3"),
        ({"colour": "grey", "std": (0.1, 0.2, 0.3)}, "one number or 1"),
        ({"std": (0.0,)}, "std must be positive"),
    ],
)
def test_assumptions_that_cannot_be_are_named(assumes, message):
    with pytest.raises(ValueError, match=message):
        PixelAssumptions(**assumes)


def test_a_stride_beyond_the_core_is_refused(opened):
    with pytest.raises(InvalidArgument, match="this model takes 1 to 10 pixels"):
        PlanesEngine(opened()).restore(np.zeros((3, 20, 20), np.float32), stride=CORE + 1)
