import warnings

import numpy as np
import pytest

from bench.fuzz.case import FAILED, REFUSED, RESULT, Broken, Case, generator, judge
from runtime.errors import FrameLeftOut, InvalidImage


def ends(run, folder):
    outcome = judge(Case("title", run), folder)
    return outcome.kind, outcome.what


def raises(error):
    def run():
        raise error

    return run


def warns(*arguments):
    return lambda: warnings.warn(*arguments, stacklevel=1)


def test_a_case_ends_with_a_result_or_with_an_error_of_one_line(tmp_path):
    assert ends(lambda: None, tmp_path) == (RESULT, "")
    assert ends(raises(InvalidImage("empty: give pixels")), tmp_path) == (REFUSED, "InvalidImage")


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (InvalidImage("two\nlines"), "InvalidImage whose message is no line"),
        (InvalidImage(""), "InvalidImage whose message is no line"),
        (InvalidImage("x" * 2000), "InvalidImage whose message is no line"),
        (ValueError("x"), "raw ValueError"),
        (MemoryError(), "raw MemoryError"),
        (KeyboardInterrupt(), "raw KeyboardInterrupt"),
        (SystemExit(1), "raw SystemExit"),
        (Broken("NaN"), "invalid result: NaN"),
    ],
)
def test_any_other_end_is_a_failure(tmp_path, error, what):
    kind, said = ends(raises(error), tmp_path)
    assert kind == FAILED
    assert said.startswith(what)


def test_the_place_of_a_raw_error_in_our_code_is_named(tmp_path):
    from runtime.images.files import format_of

    assert ends(lambda: format_of(3), tmp_path)[1].endswith("in runtime.images.files:format_of")


def test_inputs_stay_and_no_unfinished_file_is_left(tmp_path):
    (tmp_path / "input").write_bytes(b"a")
    assert ends(lambda: (tmp_path / "output").write_bytes(b"b"), tmp_path) == (RESULT, "")
    assert ends(lambda: (tmp_path / "input").write_bytes(b"b"), tmp_path) == (FAILED, "input changed: input")
    assert ends((tmp_path / "input").unlink, tmp_path) == (FAILED, "input changed: input")
    (tmp_path / "sub").mkdir()
    leave = (tmp_path / "sub" / "x.part").touch
    assert ends(leave, tmp_path) == (FAILED, "file left behind: sub/x.part")


def test_only_warnings_of_our_own_are_given(tmp_path):
    assert ends(warns(FrameLeftOut("frame 1 is left out")), tmp_path) == (RESULT, "")
    assert ends(warns("odd", RuntimeWarning), tmp_path) == (FAILED, "foreign warning: RuntimeWarning: odd")


def test_the_random_numbers_of_a_case_depend_on_family_seed_and_number():
    first = generator("images", 1, 2).random(3)
    assert np.array_equal(first, generator("images", 1, 2).random(3))
    for other in (("calls", 1, 2), ("images", 2, 2), ("images", 1, 3)):
        assert not np.array_equal(first, generator(*other).random(3))
