import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.serve.worker.wire import pack, unpack


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()), st.lists(st.binary(max_size=100)))
def test_messages_arrive_as_they_were_sent(header, blocks):
    header.pop("sizes", None)
    assert unpack(pack(header, blocks)) == (header, blocks)


@given(st.binary(max_size=200))
def test_anything_else_is_refused(message):
    with pytest.raises(ValueError):  # noqa: PT011
        unpack(message)


def test_a_message_that_is_cut_short_is_refused():
    message = pack({"a": 1}, [b"12345"])
    for stop in range(len(message)):
        with pytest.raises(ValueError):  # noqa: PT011
            unpack(message[:stop])
