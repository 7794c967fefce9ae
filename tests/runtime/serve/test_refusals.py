from runtime.errors import DeblurError
from runtime.serve.refusals import Refusal


def test_a_refusal_says_why_to_programs_and_people():
    refusal = Refusal("saturated", "the queue is full: try again later", 5)
    assert isinstance(refusal, DeblurError)
    assert isinstance(refusal, RuntimeError)
    assert str(refusal) == refusal.detail == "the queue is full: try again later"
    assert (refusal.code, refusal.retry_after) == ("saturated", 5)
    assert Refusal("failed", "no").retry_after is None
