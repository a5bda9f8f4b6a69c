"""Messages between logs and gRPC, without a process: real protobuf, and what a guest may have written."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shmrerun.framing import ARROW_MSG, MESSAGE_HEADER_BYTES, SET_STORE_INFO, to_grpc
from shmrerun.live.messages import PERSISTENT, STATIC, TEMPORAL, class_of, from_grpc
from shmrerun.rrd import proto
from shmrerun.shm.log_reader import Message


def message(kind, payload):
    return Message(kind, memoryview(payload), 0)


@pytest.mark.parametrize(
    ("store", "is_static", "expected"),
    [(1, True, STATIC), (1, False, TEMPORAL), (1, None, TEMPORAL), (2, False, PERSISTENT), (2, True, PERSISTENT)],
)
def test_class(store, is_static, expected):
    """As Rerun's proxy sorts them, with a payload of any size."""
    for size in (0, 5, 300, 70_000):
        arrow = proto.ArrowMsg(store_id=proto.StoreId(kind=store, recording_id="r"), payload=os.urandom(size), is_static=is_static)
        assert class_of(message(ARROW_MSG, arrow.SerializeToString())) == expected
    assert class_of(message(SET_STORE_INFO, b"")) == PERSISTENT


@given(st.binary(max_size=200))
def test_a_guest_may_write_anything(data):
    """Whatever the bytes, a message has a class, and a request is a message or a ValueError."""
    assert class_of(message(ARROW_MSG, data)) in (PERSISTENT, STATIC, TEMPORAL)
    try:
        found = from_grpc(data)
    except ValueError:
        return
    assert to_grpc(found[0], found[MESSAGE_HEADER_BYTES:])


@given(st.binary(max_size=400))
def test_there_and_back(payload):
    """The protobuf classes read what is made by hand, and the way back gives the same message."""
    made = to_grpc(SET_STORE_INFO, payload)
    assert from_grpc(made)[MESSAGE_HEADER_BYTES:] == payload
    arrow = proto.ArrowMsg(payload=payload)
    request = proto.WriteMessagesRequest.FromString(to_grpc(ARROW_MSG, arrow.SerializeToString()))
    assert request.log_msg.arrow_msg.payload == payload
