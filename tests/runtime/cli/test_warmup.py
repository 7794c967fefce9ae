import pytest

from runtime import warming


@pytest.fixture
def warmed(monkeypatch):
    calls = []

    def warm_up(**options):
        calls.append(options)
        options["progress"]("fba", 0.5)
        return {"fba": 1.25, "deconvolve": 0.5}

    monkeypatch.setattr(warming, "warm_up", warm_up)
    return calls


def test_seconds_are_printed(deblur, warmed):
    done = deblur("warmup", "--device", "cpu")
    assert (done.code, done.out) == (0, b"fba: 1.2 s\ndeconvolve: 0.5 s\n")
    assert (warmed[0]["models"], warmed[0]["device"]) == (None, "cpu")


def test_models_can_be_named(deblur, warmed):
    assert deblur("warmup", "--model", "fba", "--model", "eboli").code == 0
    assert warmed[0]["models"] == ("fba", "eboli")


def test_an_error_is_one_line(deblur):
    done = deblur("warmup", "--model", "no-such-model")
    assert done.code == 1
    assert done.err.startswith("deblur: ")
    assert "no-such-model" in done.err
