import os
import time

import pytest

from bench.serve import running as module
from bench.serve.running import resident, running
from runtime.errors import DeblurError

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_a_service_that_cannot_start_is_reported():
    with pytest.raises(DeblurError, match="no worker can start"), running("--device", "cuda:77"):
        pass


def test_memory_of_a_process():
    assert resident(os.getpid()) > 1_000_000
    assert resident(2**22 + 1) == 0


def test_a_service_runs_loses_a_worker_and_ends(monkeypatch):
    with running("--device", "cpu") as service:
        assert service.port > 0
        assert service.memory() > 1_000_000
        assert service.is_full(0)
        assert not service.is_full(1)
        assert service.metric("deblur_workers_ready") == 1
        assert service.metric("deblur_no_such_number") == 0
        assert not service.refuses()
        (worker,) = service.workers()
        assert service.kill_worker()
        end = time.monotonic() + module._START
        while service.workers() in ([worker], []) and time.monotonic() < end:
            time.sleep(0.02)
        assert len(service.workers()) == 1
        service.ask_to_end()
        assert service.end() == 0
        assert service.refuses()


def test_a_service_with_too_few_addresses_does_not_start(tmp_path):
    with pytest.raises(DeblurError, match="did not start"), running("--device", "cpu", addresses=50 << 20):
        pass
