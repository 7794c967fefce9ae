import json

import pytest
from click.testing import CliRunner

from bench.serve.ray import make_photographs, ray_batch
from runtime.images import read_file


def test_photographs_are_the_same_each_time(tmp_path):
    for name in ("first", "second"):
        make_photographs(tmp_path / name, 2, 70)
    first, second = ([*sorted((tmp_path / name).iterdir())] for name in ("first", "second"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert first[0].read_bytes() != first[1].read_bytes()
    assert read_file(first[0])[0].shape == (70, 70, 3)


@pytest.mark.slow
def test_a_batch_loses_a_worker_and_a_machine_but_no_photograph(tmp_path):
    file = tmp_path / "report.json"
    arguments = ["--photographs", "16", "--side", "70", "--json", str(file)]
    result = CliRunner().invoke(ray_batch, arguments, catch_exceptions=False)
    assert "Batch over Ray" in result.output
    (row,) = json.loads(file.read_text())["tables"]["ray"]
    assert row["photographs"] == row["accounted"] == row["written"] == row["whole"] == row["equal"] == 16
    assert (row["failed"], row["workers_killed"], row["machines_killed"]) == (0, 1, 1)
