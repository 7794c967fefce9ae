from __future__ import annotations

import pytest

from export.loop.job import Job


@pytest.mark.parametrize("settings", [{"minutes": 0}, {"processes": 0}])
def test_jobs_are_checked(tmp_path, settings):
    with pytest.raises(ValueError, match=r"must be positive|must be at least 1"):
        Job(tmp_path, **settings)


def test_a_job_asks_for_nothing_unless_told(tmp_path):
    job = Job(tmp_path)
    assert (job.minutes, job.resume, job.start, job.processes, job.device) == (None, False, None, 1, "cpu")
