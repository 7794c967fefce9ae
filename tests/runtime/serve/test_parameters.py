import inspect

import pytest

import runtime
from runtime.serve.parameters import PARAMETERS, parse_options
from runtime.serve.refusals import Refusal

MODELS = {"chakrabarti": "deblur", "fba": "burst"}


@pytest.mark.parametrize(
    ("kind", "given", "options"),
    [
        ("deblur", [], {}),
        (
            "deblur",
            [("quality", "fast"), ("stride", "4"), ("noise", "0.01"), ("refine", "False"), ("strength", ".5")],
            {"quality": "fast", "stride": 4, "noise": 0.01, "refine": False, "strength": 0.5},
        ),
        ("deblur", [("model", "chakrabarti"), ("neural", "1")], {"model": "chakrabarti", "neural": True}),
        ("deconvolve", [("method", "wiener"), ("noise", "0")], {"method": "wiener", "noise": 0.0}),
        (
            "burst",
            [("register", "false"), ("reference", "2"), ("p", "3")],
            {"register": False, "reference": 2, "p": 3.0},
        ),
    ],
)
def test_text_becomes_what_the_runtime_takes(kind, given, options):
    assert parse_options(kind, given, MODELS) == options


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("deblur", [("qualty", "fast")], "no option 'qualty' here.*give one of model, quality"),
        ("deblur", [("progress", "1")], "no option 'progress'"),
        ("deblur", [("quality", "superb")], "fast, balanced, best"),
        ("deblur", [("quality", "fast")] * 2, "given twice"),
        ("deblur", [("stride", "1.5")], "stride='1.5': give a whole number"),
        ("deblur", [("stride", "0")], "1 or more"),
        ("deblur", [("refine", "maybe")], "give true or false"),
        ("deblur", [("noise", "nan")], r"\[0, 1\)"),
        ("deblur", [("strength", "2")], "from 0 to 1"),
        ("deblur", [("noise", "1" * 5000)], "give a number"),
        ("deblur", [("model", "/etc/passwd")], "give one of chakrabarti"),
        ("deblur", [("model", "fba")], "give one of chakrabarti"),
        ("burst", [("model", "chakrabarti")], "give one of fba"),
        ("burst", [("p", "-1")], "from 0"),
        ("deconvolve", [("method", "magic")], "hyper-laplacian"),
        ("deconvolve", [("noise", "-1")], "from 0 to 1"),
        ("deconvolve", [("quality", "superb")], "fast, balanced, best"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_remedy(kind, given, message):
    with pytest.raises(Refusal, match=message) as caught:
        parse_options(kind, given, MODELS)
    assert caught.value.code == "invalid-option"
    assert len(caught.value.detail) < 500


def test_the_options_are_those_of_the_runtime():
    for kind, function in (
        ("deblur", runtime.Deblurrer.restore),
        ("burst", runtime.Deblurrer.restore_burst),
        ("deconvolve", runtime.deconvolve),
    ):
        taken = set(inspect.signature(function).parameters)
        given = {"self", "image", "frames", "kernel", "motion", "progress", "device"}
        assert taken - given == set(PARAMETERS[kind]) - {"model"}
