import pytest

from runtime.errors import InvalidArgument
from runtime.options import BurstOptions, Options, changed_options, read_response
from runtime.quality import LEVELS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": "superb"}, "quality 'superb': give one of fast, balanced, best"),
        ({"quality": []}, r"quality \[\]: give one of"),
        ({"nonblind": "magic"}, "nonblind 'magic': give one of hyper-laplacian"),
        ({"support": 2}, "support 2: give a whole number of pixels, 3 or more"),
        ({"noise": 1.5}, r"noise 1.5: give a standard deviation in \[0, 1\)"),
        ({"noise": float("nan")}, "noise nan"),
        ({"variant": "tiny"}, "variant 'tiny': give one of general, scale-optimised"),
        ({"variant": None}, "variant None: give one of"),
        ({"neural": False, "nonblind": "none"}, "nonblind='none'"),
        ({"neural": False, "refine": False}, "needs refine=True"),
    ],
)
def test_what_cannot_be_asked_for(options, message):
    with pytest.raises(InvalidArgument, match=message):
        Options(**options)


def test_the_level_is_that_of_the_name():
    assert Options(quality="fast").level is LEVELS["fast"]


def test_changed_options_are_those_that_differ_from_the_defaults():
    assert changed_options(Options()) == {}
    assert changed_options(Options(quality="fast", stride=4)) == {"quality": "fast", "stride": 4}
    assert changed_options(BurstOptions(p=30.0)) == {"p": 30.0}


@pytest.mark.parametrize(
    ("given", "kept"), [("auto", "auto"), ("srgb", "srgb"), ("linear", "linear"), (1, "linear"), (2.2, 2.2)]
)
def test_a_response_is_a_name_or_an_exponent(given, kept):
    assert Options(response=given).response == kept


@pytest.mark.parametrize("given", ["gamma", 0.5, 9, None, True, [1]])
def test_other_responses_are_refused(given):
    with pytest.raises(InvalidArgument, match='"auto"'):
        Options(response=given)


@pytest.mark.parametrize(("text", "read"), [("2.2", 2.2), ("1", 1.0), ("srgb", "srgb"), ("curve", "curve")])
def test_responses_are_read_from_text(text, read):
    assert read_response(text) == read


def test_smoothing_beyond_every_side_is_finite_in_pixels():
    widest = BurstOptions(smoothing=1e308).smoothing
    assert widest == BurstOptions(smoothing=1e9).smoothing
    assert BurstOptions(smoothing=0.3).smoothing == 0.3
