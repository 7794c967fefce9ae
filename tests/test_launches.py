import pytest
from click.testing import CliRunner

from tests.launches import COLUMNS, main, photograph
from tests.support.cuda_emulator import MISSING_COMPILER


def test_the_photograph_has_the_size_that_was_asked_for():
    assert photograph(70).shape == (70, 70, 3)
    assert photograph(600).shape == (600, 600, 3)


@pytest.mark.skipif(MISSING_COMPILER is not None, reason=str(MISSING_COMPILER))
def test_a_job_is_counted_with_the_functions_that_ask_for_most():
    output = CliRunner().invoke(main, ["wiener", "--side", "65", "--places", "3"], catch_exceptions=False).output
    head, names, numbers, *places = output.splitlines()
    assert head == "65 x 65 pixels in colour, fast"
    assert names.split() == " ".join(COLUMNS).split()
    counts = dict(zip(COLUMNS, numbers.replace(",", "").split()[1:], strict=True))
    assert int(counts["transforms"]) < int(counts["operations"])
    assert 0 < int(counts["waits"]) < 60
    assert int(counts["Python calls"]) > 100
    assert len(places) == 3
    assert all(" runtime/" in place or " kernels/" in place for place in places)
