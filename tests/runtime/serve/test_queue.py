import threading
import time

import pytest

from runtime.serve.queue import BoundedQueue, Budget
from runtime.serve.refusals import Refusal


def test_first_in_first_out_up_to_a_bound():
    queue = BoundedQueue(2)
    queue.put("a")
    queue.put("b")
    with pytest.raises(Refusal) as caught:
        queue.put("c")
    assert caught.value.code == "saturated"
    assert queue.is_full
    assert [queue.position(item) for item in "abc"] == [0, 1, None]
    assert [queue.take(1), queue.take(1), len(queue)] == ["a", "b", 0]


def test_what_was_taken_can_be_put_back_at_the_front_even_into_a_full_queue():
    queue = BoundedQueue(1)
    queue.put("a")
    queue.put_back("b")
    assert [queue.take(1), queue.take(1)] == ["b", "a"]


def test_items_can_be_removed():
    queue = BoundedQueue(3)
    queue.put("a")
    assert queue.remove("a")
    assert not queue.remove("a")
    assert queue.take(0.01) is None


def test_taking_waits_for_an_item_and_no_longer_than_until_it_is_closed():
    queue, taken = BoundedQueue(1), []
    threads = [threading.Thread(target=lambda: taken.append(queue.take(30))) for _ in range(2)]
    for thread in threads:
        thread.start()
    queue.put("a")
    while not taken:
        time.sleep(0.005)
    queue.close()
    for thread in threads:
        thread.join(20)
    assert taken == ["a", None]


def test_bytes_are_taken_and_given_back():
    budget = Budget(10)
    budget.take(6)
    with pytest.raises(Refusal) as caught:
        budget.take(5)
    assert caught.value.code == "saturated"
    assert budget.held == 6
    budget.take(4)
    budget.give(10)
    assert budget.held == 0
