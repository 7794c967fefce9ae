import os
import signal

from runtime.serve import workers


def test_workers_share_the_cores_evenly(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3, 6})
    assert workers.shares(("auto",), 1) == [("auto", ())]
    assert workers.shares(("cpu",), 2) == [("cpu", (0, 1)), ("cpu", (2, 3, 6))]
    assert workers.shares(("cuda:0", "cuda:1"), 1) == [("cuda:0", (0, 1)), ("cuda:1", (2, 3, 6))]
    assert workers.shares(("cpu",), 6) == [("cpu", ())] * 6


def test_a_worker_that_dies_without_work_is_replaced(start, asking, until, patience):
    service = start()
    (process,) = service.process_ids
    os.kill(process, signal.SIGKILL)
    until(lambda: service.process_ids not in ([process], []) and service.is_ready)
    assert service.submit(asking()).settled.result(patience)


def test_a_worker_ends_with_its_service(start, until):
    service = start(workers=2)
    processes = service.process_ids
    assert len(processes) == 2
    service.drain(0)
    for process in processes:
        until(lambda process=process: not os.path.exists(f"/proc/{process}"))


def test_signals_to_the_group_do_not_reach_a_worker(start):
    (process,) = start().process_ids
    assert os.getpgid(process) != os.getpgid(os.getpid())


def test_requests_of_several_workers_run_at_a_time(start, asking, until, patience):
    service = start(workers=2)
    until(lambda: b"deblur_workers_ready 2.0" in service.metrics.text())
    tickets = [service.submit(asking(0.5)) for _ in range(2)]
    until(lambda: all(ticket.state == "running" for ticket in tickets))
    for ticket in tickets:
        ticket.settled.result(patience)


def test_a_request_that_killed_a_worker_takes_no_other_with_it(start, asking, patience):
    service = start(workers=1)
    bad, good = service.submit(asking(what=2)), [service.submit(asking()) for _ in range(5)]
    assert bad.settled.exception(patience).code == "worker-lost"
    assert all(ticket.settled.result(patience) and ticket.attempts == 0 for ticket in good)
