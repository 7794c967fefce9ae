"""Every option of every call, given values of all types: what is not taken is refused by an error of ours."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runtime
from runtime.errors import DeblurError, InvalidArgument, UnsupportedType
from runtime.metrics import align, psnr
from tests.support.models import write_burst_bundle, write_patch_bundle


class Odd:
    def __repr__(self):
        raise RuntimeError("no text")

    __str__ = __repr__


class Odder(Odd):
    @property
    def shape(self):
        raise RuntimeError("no shape")


WRONG = (
    "x", "", "a\0b", b"x", [], [[1, 2], [3]], {}, set(), object(), Odd(), Odder(), 1j, np.complex64(1), math.nan,
    -math.inf, -1, -0.5, 10**400, 10**5000, np.array([0.5, 0.5]), np.array([]), np.ma.masked,
    np.datetime64("2020"), NotImplemented, float,
)  # fmt: skip
"""Values that no option takes."""
GOOD = {
    "quality": ["fast", np.str_("fast")], "stride": [None, 4, np.int64(4), np.array(4)], "nonblind": ["none"],
    "support": [None, np.int32(5)], "noise": [None, 0, 0.1, np.float32(0.1), np.array(0.1)], "refine": [True, np.True_],
    "neural": [np.bool_(True)], "response": ["auto", "srgb", 2.2, np.float32(2), np.array(1)], "content": ["any"],
    "variant": ["general"],
    "strength": [1, 0.5, np.float32(0.5), np.int64(1)],
    "progress": [None, lambda *call: None], "register": [False, np.False_], "reference": [None, 0, np.int64(1)],
    "p": [0, 11.0, math.inf, np.float32(3), 2**70],
    "patch": [None, 16, np.int64(16)], "smoothing": [None, 0, np.float64(0.02)], "chroma": ["own", np.str_("own")],
    "device": ["cpu", "auto"], "precision": ["auto", "fp32"], "batch": [None, 3, np.uint8(3)],
    "method": [None, "wiener"], "border": [4, np.int64(5)], "max_shift": [3, np.int8(3)],
}  # fmt: skip
"""Values that the option of this name takes."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Each call with its options, as a function of these."""
    folder = tmp_path_factory.mktemp("models")
    patches, burst = write_patch_bundle(folder / "patches", "filters").path, write_burst_bundle(folder / "burst").path
    image = np.random.default_rng(1).random((24, 26), np.float32)
    kernel = np.full((1, 3), 1 / 3, np.float32)
    one = runtime.Deblurrer(model=patches, device="cpu")
    fba = runtime.Deblurrer(model="fba", device="cpu")
    network = runtime.Deblurrer(model=burst, device="cpu")
    frames = [image, image * np.float32(0.9)]
    return {
        "restore": lambda **options: one.restore(image, **{"nonblind": "none"} | options),
        "restore_many": lambda images, **options: one.restore_many(images, **{"nonblind": "none"} | options),
        "fba": lambda **options: fba.restore_burst(frames, **{"register": False} | options),
        "burst": lambda **options: network.restore_burst(frames, **{"register": False} | options),
        "deconvolve": lambda **options: runtime.deconvolve(
            image, kernel, **{"quality": "fast", "device": "cpu"} | options
        ),
        "Deblurrer": lambda **options: runtime.Deblurrer(**{"model": patches, "device": "cpu"} | options),
        "deblur": lambda **options: runtime.deblur(
            image, **{"model": patches, "device": "cpu", "nonblind": "none"} | options
        ),
        "deblur_burst": lambda **options: runtime.deblur_burst(
            frames, **{"model": "fba", "device": "cpu", "register": False} | options
        ),
        "psnr": lambda **options: psnr(image, image, **{"border": 0} | options),
        "align": lambda **options: align(image, image, **{"border": 4, "max_shift": 3} | options),
    }


OPTIONS = {
    "restore": [
        "quality",
        "stride",
        "nonblind",
        "support",
        "noise",
        "refine",
        "neural",
        "response",
        "content",
        "variant",
        "strength",
        "progress",
    ],
    "fba": ["register", "reference", "p", "patch", "stride", "smoothing", "chroma", "progress"],
    "burst": ["register", "reference", "p", "patch", "stride", "smoothing", "chroma", "progress"],
    "deconvolve": ["method", "quality", "noise", "device", "progress"],
    "Deblurrer": ["model", "device", "precision", "batch"],
    "deblur": ["model", "device", "precision", "batch", "quality", "response", "strength"],
    "deblur_burst": ["model", "device", "precision", "batch", "p"],
    "psnr": ["border"],
    "align": ["border", "max_shift"],
}
ALL = [(call, option) for call, options in OPTIONS.items() for option in options]


def is_class(value):
    """A class can be called, as a callback can."""
    return isinstance(value, type)


@pytest.mark.parametrize(("call", "option"), ALL)
def test_wrong_values_are_refused_in_one_line(calls, call, option):
    for value in WRONG:
        if option == "progress" and is_class(value):
            continue
        with pytest.raises(DeblurError) as caught:
            calls[call](**{option: value})
        assert isinstance(caught.value, InvalidArgument | UnsupportedType | runtime.errors.ModelNotFound)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("call", "option"), [(call, option) for call, option in ALL if option != "model"])
def test_numbers_of_numpy_are_numbers(calls, call, option):
    for value in GOOD[option]:
        if (call, option) in (("burst", "patch"), ("fba", "stride")) and value is not None:
            continue  # Options of the other of the two.
        if call == "restore" and option == "support" and value is not None:
            continue
        calls[call](**{option: value})


@pytest.mark.parametrize("name", ["device", "quality", "precision", "refine", "neural", "strength", "p", "register"])
def test_none_is_refused_where_it_has_no_meaning(calls, name):
    call = next(call for call, options in OPTIONS.items() if name in options)
    with pytest.raises(InvalidArgument, match=f"^{name} None: give"):
        calls[call](**{name: None})


SIDE = np.full((3, 3), 1 / 9)


@pytest.mark.parametrize(
    "kernel",
    [
        SIDE.astype(complex), SIDE.astype(object), [[1, 2], [3]], [["a"]], [[None]], np.ma.array(SIDE, mask=np.eye(3)),
        np.zeros((3, 3)), np.full((3, 3), np.nan), np.full((3, 3), 1e300), -SIDE, np.ones(3) / 3,
        np.ones((3, 3, 3)) / 27, np.ones((0, 3)), np.ones((60, 1)) / 60, np.zeros((2, 2), "M8[s]"),
        np.zeros(2, [("a", float)]), "kernel", b"", {}, object(), 10**400,
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_kernels_and_motions_that_are_none_are_refused(kernel):
    image = np.random.default_rng(1).random((24, 26), np.float32)
    for blur in ({"kernel": kernel}, {"motion": kernel}):
        with pytest.raises((InvalidArgument, UnsupportedType)) as caught:
            runtime.deconvolve(image, quality="fast", device="cpu", **blur)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kernel", [[[1 / 3, 1 / 3, 1 / 3]], np.full((3, 1), 1 / 3, np.float16), [[1]], [[True]]])
def test_kernels_of_any_real_type_are_taken(kernel):
    image = np.random.default_rng(1).random((24, 26), np.float32)
    assert np.isfinite(runtime.deconvolve(image, kernel, quality="fast", device="cpu")).all()


@pytest.mark.parametrize(
    "images", [5, None, 1.5, "photo.png", Path("photo.png"), b"x", Odder(), Image.new("L", (8, 8)), np.zeros((8, 8)),
               np.array(1.0), runtime.Task(np.zeros((8, 8)))]
)  # fmt: skip
def test_one_thing_is_no_list_of_them(calls, images):
    with pytest.raises(UnsupportedType, match=r"^images cannot be .*: give a list of .*, or call restore for one$"):
        calls["restore_many"](images)
    with pytest.raises(UnsupportedType, match=r"^a burst cannot be .*: give a list of .*\)$"):
        runtime.deblur_burst(images, device="cpu")


@pytest.mark.parametrize(
    ("models", "progress"), [(5, None), ("fba", None), (Path("fba"), None), ([5], None), ([Odder()], None), (None, 5)]
)
def test_what_is_no_model_is_not_warmed_up(models, progress):
    with pytest.raises(UnsupportedType, match=r"^(models|model|progress) .*: give"):
        runtime.warm_up(models=models, device="cpu", progress=progress)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ([], UnsupportedType, "options of a task cannot be of type list: give a dict"),
        (None, UnsupportedType, "options of a task cannot be of type NoneType: give a dict"),
        ({5: 1}, InvalidArgument, "option 5: give one of quality, stride"),
        ({"qual": 1}, InvalidArgument, "option 'qual': give one of quality, stride"),
        ({"image": 1}, InvalidArgument, "option 'image': give one of quality, stride"),
        ({Odder(): 1}, InvalidArgument, "option .*: give one of quality, stride"),
        ({"quality": "x"}, InvalidArgument, "quality 'x': give one of"),
    ],
)
def test_wrong_options_of_a_task_are_the_error_of_its_image(calls, options, kind, words):
    image = np.random.default_rng(1).random((24, 26), np.float32)
    error, other = calls["restore_many"]([runtime.Task(image, options), image], errors="return")
    assert isinstance(error, kind)
    assert re.match(words, str(error))
    assert isinstance(other, runtime.Restoration)
    with pytest.raises(kind):
        next(calls["restore_many"]([runtime.Task(image, options)]))


def test_images_to_score_are_floating_point():
    for image in ([["a"]], np.ones((9, 9), np.uint8), np.ones((9, 9), complex), [[1.0], [2.0, 3.0]], None):
        with pytest.raises((InvalidArgument, UnsupportedType)):
            psnr(image, image)
    assert psnr([[0.5, 0.5]], [[0.6, 0.6]]) == pytest.approx(20)
