"""Every option of every call, given values of all types: what is not taken is refused by an error of ours."""

import math

import numpy as np
import pytest

import runtime
from runtime.errors import DeblurError, InvalidArgument, UnsupportedType
from runtime.metrics import align, psnr
from tests.support.models import write_burst_bundle, write_patch_bundle


class Odd:
    def __repr__(self):
        raise RuntimeError("no text")


WRONG = (
    "x", "", "a\0b", b"x", [], [[1, 2], [3]], {}, set(), object(), Odd(), 1j, np.complex64(1), math.nan, -math.inf,
    -1, -0.5, 10**400, 10**5000, np.array([0.5, 0.5]), np.array([]), np.ma.masked,
    np.datetime64("2020"), NotImplemented, float,
)  # fmt: skip
"""Values that no option takes."""
GOOD = {
    "quality": ["fast", np.str_("fast")], "stride": [None, 4, np.int64(4), np.array(4)], "nonblind": ["none"],
    "support": [None, np.int32(5)], "noise": [None, 0, 0.1, np.float32(0.1), np.array(0.1)], "refine": [True, np.True_],
    "neural": [np.bool_(True)], "strength": [1, 0.5, np.float32(0.5), np.int64(1)],
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
    "restore": ["quality", "stride", "nonblind", "support", "noise", "refine", "neural", "strength", "progress"],
    "fba": ["register", "reference", "p", "patch", "stride", "smoothing", "chroma", "progress"],
    "burst": ["register", "reference", "p", "patch", "stride", "smoothing", "chroma", "progress"],
    "deconvolve": ["method", "quality", "noise", "device", "progress"],
    "Deblurrer": ["model", "device", "precision", "batch"],
    "deblur": ["model", "device", "precision", "batch", "quality", "strength"],
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


def test_images_to_score_are_floating_point():
    for image in ([["a"]], np.ones((9, 9), np.uint8), np.ones((9, 9), complex), [[1.0], [2.0, 3.0]], None):
        with pytest.raises((InvalidArgument, UnsupportedType)):
            psnr(image, image)
    assert psnr([[0.5, 0.5]], [[0.6, 0.6]]) == pytest.approx(20)
