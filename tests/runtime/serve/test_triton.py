import importlib.util
import json
import re
import threading

import numpy as np
import pytest

import runtime
from runtime.errors import ImageFileError, InvalidArgument
from runtime.results import Restoration
from runtime.serve.triton import Repository, write_repository
from runtime.warming import _photograph
from tests.support import triton_stand_in
from tests.support.deblurrers import StandIn
from tests.support.triton_stand_in import Request

PHOTOGRAPH = _photograph()[:90, :100].copy()


def parameters_of(config):
    """The parameters of a configuration, as Triton hands them to the backend."""
    found = re.findall(r'key: "(\w+)" value: \{ string_value: ("(?:[^"\\]|\\.)*") \}', config)
    return {name: {"string_value": json.loads(quoted)} for name, quoted in found}


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Write a repository and start its model, as the Python backend does, on a stand-in for the backend."""
    triton_stand_in.install(monkeypatch)

    def start(**settings):
        folder = write_repository(tmp_path, "chakrabarti", Repository(**settings), overwrite=True)
        spec = importlib.util.spec_from_file_location("model", folder / "1" / "model.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = module.TritonPythonModel()
        model.initialize(
            {
                "model_config": json.dumps({"parameters": parameters_of((folder / "config.pbtxt").read_text())}),
                "model_instance_kind": "CPU",
                "model_instance_device_id": "0",
                "model_repository": str(folder),
                "model_version": "1",
            }
        )
        return model

    return start


def test_requests_are_answered_as_the_library_answers(start):
    model = start(options={"quality": "fast"})
    flat = np.full((1, 80, 80, 3), 90, np.uint8)
    answers = model.execute([Request({"image": PHOTOGRAPH[None]}), Request({"image": flat})])
    expected = runtime.Deblurrer(device="cpu").restore(PHOTOGRAPH, quality="fast")
    first, second = (answer.tensors for answer in answers)
    np.testing.assert_array_equal(first["restored"], expected.image[None])
    np.testing.assert_array_equal(first["confidence"], np.float32([[expected.confidence]]))
    assert bytes(first["code"][0]).rstrip(b"\0").decode() == (expected.code or "")
    np.testing.assert_array_equal(second["restored"], flat)
    assert bytes(second["code"][0]).rstrip(b"\0") == b"flat"
    assert [second[name].dtype.name for name in ("restored", "confidence", "code")] == ["uint8", "float32", "uint8"]


def test_a_request_may_hold_several_photographs_and_options_of_its_own(start):
    model = start(options={"quality": "fast"})
    pair = np.stack([PHOTOGRAPH, np.full_like(PHOTOGRAPH, 90)])
    (answer,) = model.execute([Request({"image": pair}, strength=0.0)])
    np.testing.assert_array_equal(answer.tensors["restored"], pair)
    assert answer.tensors["confidence"].shape == (2, 1)
    assert len(answer.tensors["code"]) == 2


def test_a_request_that_fails_fails_alone(start):
    model = start(options={"quality": "fast"})
    flat = np.full((1, 80, 80, 3), 90, np.uint8)
    small, wrong, foreign, good = model.execute(
        [
            Request({"image": PHOTOGRAPH[None, :20, :20].copy()}),
            Request({"image": flat}, quality="perfect"),
            Request({"image": flat}, model="other"),
            Request({"image": flat}),
        ]
    )
    assert "give a larger crop" in str(small.error)
    assert "quality 'perfect'" in str(wrong.error)
    assert str(foreign.error) == "there is no parameter model: give quality or strength"
    assert good.error is None


def test_photographs_of_several_requests_are_restored_side_by_side(start, monkeypatch):
    monkeypatch.setattr("runtime.deblurrer.lanes_on", lambda device: 2)
    barrier = threading.Barrier(2)

    class Pairs(StandIn):
        def answer(self, image, **options):
            barrier.wait(20)
            code = f"strength {options['strength']}"
            return Restoration(255 - image, None, None, None, {}, "negative", 0.5, code=code)

    model = start()
    model._deblurrer = Pairs()
    images = [np.full((1, 4 + number, 5, 3), number, np.uint8) for number in range(4)]
    answers = model.execute([Request({"image": image}, strength=number / 4) for number, image in enumerate(images)])
    for number, answer in enumerate(answers):
        np.testing.assert_array_equal(answer.tensors["restored"], 255 - images[number])
        assert bytes(answer.tensors["code"][0]).decode() == f"strength {number / 4}"


def test_the_configuration_says_what_was_asked_for():
    settings = Repository(
        "sharp", "cuda", instances=2, batch=5, delay=0.25, queue=7, timeout=1.5, options={"quality": "best"}
    )
    config = settings.config()
    for line in (
        'name: "sharp"',
        'backend: "python"',
        "max_batch_size: 5",
        'name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] allow_ragged_batch: true',
        "count: 2 kind: KIND_GPU",
        "max_queue_delay_microseconds: 250000",
        "default_timeout_microseconds: 1500000",
        "max_queue_size: 7",
    ):
        assert line in config
    assert json.loads(parameters_of(config)["options"]["string_value"]) == {"quality": "best"}
    assert "kind: KIND_CPU" in Repository().config()


def test_a_repository_holds_its_bundle_and_is_not_replaced_unasked(tmp_path):
    folder = write_repository(tmp_path, "chakrabarti", Repository(name="sharp"), overwrite=False)
    assert folder == tmp_path / "sharp"
    assert sorted(path.name for path in folder.iterdir()) == ["1", "config.pbtxt"]
    assert runtime.load_model(folder / "1" / "bundle").name == "chakrabarti-compact"
    (folder / "1" / "old").touch()
    with pytest.raises(ImageFileError, match="sharp exists: give --overwrite"):
        write_repository(tmp_path, "chakrabarti", Repository(name="sharp"), overwrite=False)
    write_repository(tmp_path, "chakrabarti", Repository(name="sharp"), overwrite=True)
    assert not (folder / "1" / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["sharp"]


def test_models_for_bursts_are_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="fba restores bursts"):
        write_repository(tmp_path, "fba", Repository(), overwrite=False)
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ImageFileError, match="cannot be written"):
        write_repository(tmp_path / "file", "chakrabarti", Repository(), overwrite=False)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"device": "cuda:0"}, "Triton chooses which GPU"),
        ({"name": "../other"}, "names no model"),
        ({"name": ""}, "names no model"),
        ({"instances": 0}, "instances must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"queue": 0}, "queue must be at least 1"),
        ({"delay": -1.0}, "delay must be a number of seconds"),
        ({"timeout": float("nan")}, "timeout must be a number of seconds"),
        ({"options": {"quality": "perfect"}}, "quality"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(InvalidArgument, match=words):
        Repository(**settings)
