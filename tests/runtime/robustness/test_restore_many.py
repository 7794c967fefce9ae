import itertools

import numpy as np
import pytest

import runtime
from runtime.errors import ImageFileError, InvalidArgument, InvalidImage, InvalidModel
from runtime.images import decode, encode, write_file
from runtime.images.header import Header
from runtime.options import Task

FAST = {"quality": "fast", "refine": False}


@pytest.fixture(scope="module")
def deblurrer():
    return runtime.Deblurrer(device="cpu")


@pytest.fixture(scope="module")
def photographs(request):
    blurred = request.getfixturevalue("blurred")
    pixels = (blurred.clip(0, 1) * 255).round().astype(np.uint8)
    return [pixels[:80, :90], pixels[10:120, 7:104], pixels[90:190, 30:101], pixels[3:73, :211], pixels[:66, :66]]


def same(result, expected):
    np.testing.assert_array_equal(result.image, expected.image)
    np.testing.assert_array_equal(result.kernel, expected.kernel)
    assert (result.confidence, result.code) == (expected.confidence, expected.code)


@pytest.mark.parametrize("options", [FAST, {"quality": "fast"}], ids=["network", "search"])
def test_results_are_those_of_restore_bit_for_bit(deblurrer, photographs, options):
    chosen = photographs if options is FAST else photographs[:2]
    expected = [deblurrer.restore(image, **options) for image in chosen]
    results = list(deblurrer.restore_many(iter(chosen), **options))
    assert len(results) == len(expected)
    for result, wanted in zip(results, expected, strict=True):
        same(result, wanted)


def test_arrays_files_and_encoded_images_each_come_back_as_they_came(deblurrer, photographs, tmp_path):
    image = photographs[0]
    expected = deblurrer.restore(image, **FAST)
    write_file(tmp_path / "photo.png", image)
    encoded = encode(image, Header("PNG"))
    array, path, name, picture = deblurrer.restore_many(
        [image, tmp_path / "photo.png", str(tmp_path / "photo.png"), encoded], **FAST
    )
    for result in (array, path, name):
        same(result, expected)
    assert isinstance(picture.image, bytes)
    np.testing.assert_array_equal(decode(picture.image)[0], expected.image)


def test_a_function_is_called_when_its_turn_comes_and_may_fail(deblurrer, photographs):
    def fail():
        raise LookupError("gone")

    tasks = [lambda: photographs[4], Task(fail), Task(lambda: encode(photographs[4], Header("PNG")), {"strength": 0.5})]
    array, error, picture = deblurrer.restore_many(tasks, errors="return", **FAST)
    same(array, deblurrer.restore(photographs[4], **FAST))
    assert (type(error), str(error)) == (LookupError, "gone")
    assert isinstance(picture.image, bytes)


def test_a_task_has_options_and_progress_of_its_own(deblurrer, photographs):
    stages = []
    task = Task(photographs[0], {"strength": 0.5, "progress": lambda stage, fraction: stages.append(stage)})
    half, whole = deblurrer.restore_many([task, photographs[0]], **FAST)
    np.testing.assert_array_equal(half.image, deblurrer.restore(photographs[0], strength=0.5, **FAST).image)
    np.testing.assert_array_equal(whole.image, deblurrer.restore(photographs[0], **FAST).image)
    assert stages


def test_an_iterable_without_end_is_taken_as_it_is_needed(deblurrer, photographs):
    results = deblurrer.restore_many(itertools.repeat(photographs[4]), **FAST)
    first, second = next(results), next(results)
    results.close()
    same(first, second)


def test_one_bad_photograph_is_raised_in_its_place_or_returned(deblurrer, photographs, tmp_path):
    images = [
        photographs[0],
        b"no picture",
        photographs[4],
        tmp_path / "missing.png",
        Task(photographs[0], {"noise": 2}),
    ]
    results = deblurrer.restore_many(images, **FAST)
    same(next(results), deblurrer.restore(photographs[0], **FAST))
    with pytest.raises(InvalidImage):
        next(results)
    assert list(results) == []
    outcomes = list(deblurrer.restore_many(images, errors="return", **FAST))
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [runtime.Restoration, InvalidImage, runtime.Restoration, ImageFileError, InvalidArgument]


def test_what_holds_for_all_is_refused_at_once(deblurrer):
    def never():
        raise AssertionError("taken")
        yield

    with pytest.raises(InvalidArgument, match="errors 'ignore': give one of raise, return"):
        deblurrer.restore_many(never(), errors="ignore")
    with pytest.raises(InvalidArgument, match="quality"):
        deblurrer.restore_many(never(), quality="superb")
    with pytest.raises(TypeError, match="bogus"):
        deblurrer.restore_many(never(), bogus=1)
    with pytest.raises(InvalidModel, match="restores bursts"):
        runtime.Deblurrer(model="fba", device="cpu").restore_many(never())
