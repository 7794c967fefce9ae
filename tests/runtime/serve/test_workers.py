import os
import signal
import time

from runtime.serve import workers
from runtime.serve.queue import BoundedQueue
from runtime.serve.tickets import Ticket


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


def test_a_request_that_killed_a_worker_has_the_next_one_for_itself(start, asking, until, patience):
    service = start(devices=("2",))
    bad = service.submit(asking(0.4, what=2))
    until(lambda: bad.attempts == 1)
    good = [service.submit(asking()) for _ in range(3)]
    assert bad.settled.exception(patience).code == "worker-lost"
    assert all(ticket.settled.result(patience) for ticket in good)
    assert [ticket.attempts for ticket in good] == [0, 0, 0]


class Owner:
    """Takes what a place for a worker tells."""

    def progressed(self, ticket, stage, fraction):
        pass

    def answered(self, ticket, message, blocks):
        ticket.answer(message["report"], *blocks)

    def lost(self, ticket):
        raise AssertionError("lost")

    def died(self, reason):
        pass


def test_a_request_that_killed_a_worker_waits_until_another_has_nothing_else(start, asking, until, patience):
    # `start` makes workers stand-ins.
    queue = BoundedQueue(8)
    place = workers.Place("2", (), queue, Owner(), 30)
    fresh, killed_one, end = Ticket(asking(0.5), 1e9), Ticket(asking(), 1e9), time.monotonic() + patience
    killed_one.attempts = 1
    place.start()
    try:
        queue.put(fresh)
        until(lambda: fresh.state == "running")
        queue.put(killed_one)
        killed_one.settled.result(end - time.monotonic())
        assert killed_one.begun >= fresh.ended
    finally:
        place.close()


def test_a_request_that_kills_workers_takes_another_with_it_once_at_most(start, asking, until, patience):
    service = start(devices=("2",))
    bad, good = service.submit(asking(0.4, what=2)), service.submit(asking())
    until(lambda: good.state == "running")
    assert bad.settled.exception(patience).code == "worker-lost"
    assert good.settled.result(patience)
    assert good.attempts == 1
