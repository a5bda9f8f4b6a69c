"""Ready-made messages: out of a blueprint's file, through framing and a lane, into a log whose footer knows them; once, whoever died."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest
from helpers_rrd import SCALAR, ids, points, read, scalars, tables, tuid, verify

from shmrerun import framing
from shmrerun.aggregator.commit_log import CommitLog
from shmrerun.aggregator.descriptors import Descriptors
from shmrerun.producer import messages as sending
from shmrerun.rrd import decoder, encoder, proto
from shmrerun.rrd.chunk import ChunkSchema, encode
from shmrerun.rrd.relay import blueprint

HEAD = framing.MESSAGE_HEADER_BYTES
PLAN = encoder.store_id("app", "plan", encoder.BLUEPRINT)


def framed(chunk, store=PLAN):
    return b"".join(encoder.arrow_msg(store, encode(chunk))[0])


def plan(*chunks):
    """The messages of a blueprint store."""
    return encoder.set_store_info(PLAN, tuid()) + b"".join(map(framed, chunks)) + activation()


def activation(**flags):
    command = proto.BlueprintActivationCommand(blueprint_id=proto.StoreId.FromString(PLAN), **flags)
    return framing.frame(framing.BLUEPRINT_ACTIVATION, command.SerializeToString())


def open_log(path, **options):
    return CommitLog(os.open(path, os.O_RDWR | os.O_CREAT), str(path), ("app", "recording"), Descriptors(10), **options)


def kinds(path):
    return [message.kind for message in decoder.scan(path)]


def split(data):
    return [data[start:end] for _, start, end in framing.split_messages(data)]


# ---- the log


@pytest.mark.parametrize("resumed", [False, True])
def test_a_footer_for_each_store(tmp_path, resumed):
    """Chunks that others encoded are in the manifest of their store, also in a log that a successor goes on with."""
    log = open_log(tmp_path / "log.rrd")
    log.append(scalars())
    log.append_messages(plan(points(), scalars("/b")))
    log.append_messages(framed(scalars("/c"), encoder.store_id("app", "recording")))
    if resumed:
        log = open_log(tmp_path / "log.rrd")
        log.resume(0)
    log.append(scalars(start=5))
    log.finish()
    assert verify(tmp_path / "log.rrd")[0] == 0
    assert len(read(tmp_path / "log.rrd")) == 3  # of the recording
    counts = {(store.kind, store.recording_id): table.num_rows for store, _, table in tables(tmp_path / "log.rrd")}
    assert counts == {(1, "recording"): 3, (2, "plan"): 2}


def stores(path):
    """Kind of the store of each store info in a log."""
    with open(path, "rb") as file:
        infos = [m for m in decoder.scan(file.fileno()) if m.kind == framing.SET_STORE_INFO]
        return [proto.SetStoreInfo.FromString(decoder.read_payload(file.fileno(), m)).info.store_id.kind for m in infos]


def test_a_default_blueprint_begins_a_log(tmp_path):
    """A blueprint that is first comes before the recording's store info, with a sound footer; a later one, and other messages, do not."""
    log = open_log(tmp_path / "log.rrd")
    log.append_messages(plan(points()))
    log.append(scalars())
    log.append_messages(plan(points()))
    log.finish()
    assert kinds(tmp_path / "log.rrd") == [1, 2, 3, 1, 2, 1, 2, 3, 0]
    assert stores(tmp_path / "log.rrd") == [2, 1, 2]
    assert verify(tmp_path / "log.rrd")[0] == 0
    counts = {store.kind: table.num_rows for store, _, table in tables(tmp_path / "log.rrd")}
    assert counts == {1: 1, 2: 2}
    other = open_log(tmp_path / "other.rrd")
    other.append_messages(framed(scalars(), encoder.store_id("app", "recording")))
    assert kinds(tmp_path / "other.rrd") == [1, 2]


@pytest.mark.parametrize("rows", [1, 0])
def test_a_log_whose_first_write_was_torn_gets_its_store_info(tmp_path, rows):
    """Wherever the first write was torn: a successor writes what is missing, the recording's store info once."""
    record = plan(points(), scalars("/b"))
    log = open_log(tmp_path / "whole.rrd")
    log.append_messages(record)
    whole = (tmp_path / "whole.rrd").read_bytes()
    ends = [0, framing.STREAM_HEADER_BYTES, *(message.end for message in decoder.scan(tmp_path / "whole.rrd"))]
    assert ends[-1] == len(whole)
    for end in sorted({*ends, *(end + 7 for end in ends[:-1])}):
        path = tmp_path / f"torn{end}.rrd"
        path.write_bytes(whole[:end])
        successor = open_log(path)
        successor.resume(0)
        if rows:
            successor.append(scalars())
        successor.append_messages(record)
        successor.append(scalars(start=3))
        successor.finish()
        assert verify(path)[0] == 0, end
        assert sorted(stores(path)) == [1, 2], end
        assert len(read(path)) == 1 + rows, end
        assert sum(kind == framing.ARROW_MSG for kind in kinds(path)) == 3 + rows, end


def test_what_does_not_decode_is_written_and_not_in_the_footer(tmp_path):
    """A message that this version cannot read is relayed all the same."""
    log = open_log(tmp_path / "log.rrd")
    odd = framing.frame(framing.ARROW_MSG, b"\xff\xff\xff") + framing.frame(framing.SET_STORE_INFO, b"?")
    assert log.append_messages(odd) == len(odd)
    log.append(scalars())
    log.finish()
    assert kinds(tmp_path / "log.rrd") == [1, 2, 1, 2, 0]
    assert [table.num_rows for _, _, table in tables(tmp_path / "log.rrd")] == [1]


def test_bad_framing_writes_nothing(tmp_path):
    """Bytes that are no messages are refused as a whole, with the place and what is there."""
    log = open_log(tmp_path / "log.rrd")
    log.append(scalars())
    size = log.size
    for bad, why in [
        (activation() + b"12345", "has 5 bytes of its header, not 16"),
        (activation() + framing.frame(framing.END, b""), "is of kind 0, not 1 to 3"),
        (framing.frame(framing.HOLE, b""), "not 1 to 3"),
        (framing.FRAME.pack(framing.ARROW_MSG, 1 << 63) + b"x", "announces 9223372036854775808 bytes of payload, 1 follow"),
    ]:
        with pytest.raises(ValueError, match=why):
            log.append_messages(bad)
        with pytest.raises(ValueError, match=why):
            list(sending._records(bad))
        assert log.size == size == os.fstat(log.fd).st_size


def test_records_are_cut_between_messages(monkeypatch):
    """Data over the limit of a record go into several, and no message is cut."""
    data = b"".join(framing.frame(framing.ARROW_MSG, bytes(size)) for size in (10, 20, 500, 30, 40))
    monkeypatch.setattr(sending, "RECORD_BYTES", 110)
    records = [bytes(record) for record in sending._records(data)]
    assert b"".join(records) == data
    assert [len(split(record)) for record in records] == [2, 1, 2]


# ---- after a death


def resume(path, scan_from=0):
    log = open_log(path)
    log.resume(scan_from)
    return log


@pytest.mark.parametrize("kept", range(6))
def test_a_record_is_written_once_wherever_the_write_was_torn(tmp_path, kept):
    """A successor that reads a record again completes what the dead left of it, and adds nothing to what is whole."""
    record = plan(scalars(), points(), scalars("/b"))
    log = open_log(tmp_path / "log.rrd")
    log.append(scalars())
    before = log.size
    log.append_messages(record)
    parts = split(record)
    torn = before + sum(map(len, parts[:kept])) + (7 if kept < len(parts) else 0)
    os.ftruncate(log.fd, torn)
    log = resume(tmp_path / "log.rrd")
    assert log.append_messages(record) == sum(map(len, parts[kept:]))
    log.append(scalars(start=9))
    log.finish()
    with open(tmp_path / "log.rrd", "rb") as file:
        assert file.read()[before:].startswith(record)
    assert verify(tmp_path / "log.rrd")[0] == 0
    log = resume(tmp_path / "log.rrd")  # and once more, behind what was added
    assert log.append_messages(record) == 0


def test_two_deaths_in_one_record(tmp_path):
    """The rest of a torn record is found again though other chunks came between."""
    record = plan(scalars(), points())
    parts = split(record)
    log = open_log(tmp_path / "log.rrd")
    log.append_messages(b"".join(parts[:2]))
    log.append(scalars("/between"))
    log.append_messages(b"".join(parts[2:3]))
    log = resume(tmp_path / "log.rrd")
    assert log.append_messages(record) == len(parts[3])


def test_equal_messages_count(tmp_path):
    """An equal message that was sent twice is there twice: each place in the log answers for one record."""
    log = open_log(tmp_path / "log.rrd")
    log.append_messages(activation())
    log = resume(tmp_path / "log.rrd")
    assert log.append_messages(activation()) == 0
    assert log.append_messages(activation()) == len(activation())
    log.append_messages(activation(make_active=True))
    log = resume(tmp_path / "log.rrd", log.size)
    assert log.append_messages(activation()) == len(activation())


def test_what_is_committed_is_not_looked_for(tmp_path):
    """Once no row from before the death waits, whatever is sent is written."""
    log = open_log(tmp_path / "log.rrd")
    log.append_messages(activation())
    log = resume(tmp_path / "log.rrd")
    log.scanned(log.size)
    assert log.append_messages(activation()) == len(activation())


# ---- spools


@pytest.mark.parametrize("resumed", [False, True])
def test_a_spool_keeps_blueprints(tmp_path, resumed):
    """A spool over its limit gives back rows with a time of recordings, never what is static or a blueprint's, whoever encoded it."""
    static = ChunkSchema("/static", (), (SCALAR,), is_static=True)
    record = plan(points(), scalars("/b"))
    log = open_log(tmp_path / "spool", is_spool=True)
    log.append(scalars())
    log.append_messages(record)
    log.append_messages(framed(scalars("/others"), encoder.store_id("app", "others")))
    fixed = framed(static.build(tuid(), ids(1), [], [(pa.array([1.0]), None)]), encoder.store_id("app", "others"))
    log.append_messages(fixed)
    if resumed:
        log = open_log(tmp_path / "spool", is_spool=True)
        log.resume(0)
    assert log.trim(0) == 2 * scalars().num_rows
    left = b"".join(framing.frame(message.kind, decoder.read_payload(log.fd, message)) for message in list(decoder.scan(log.fd))[1:])
    assert left == record + fixed
    target = open_log(tmp_path / "whole.rrd")
    target.take_over(log)
    target.append(scalars(start=7))
    target.finish()
    assert verify(tmp_path / "whole.rrd")[0] == 0


# ---- a blueprint's file


def stream(*messages, footer=b""):
    return encoder.stream_header() + b"".join(messages) + footer


def test_a_blueprint_is_relayed_for_another_application():
    """Store infos, chunks and activation name the recording's application; what is of a recording stays out; flags are the caller's."""
    other = encoder.store_id("app", "recording")
    data = stream(encoder.set_store_info(other, tuid()), plan(points()), framed(scalars(), other), footer=encoder.end_message(b"", 999))
    new = blueprint(data, "new", make_active=False, make_default=True)
    classes = {1: proto.SetStoreInfo, 2: proto.ArrowMsg, 3: proto.BlueprintActivationCommand}
    info, chunk, command = (classes[kind].FromString(new[start + HEAD : end]) for kind, start, end in framing.split_messages(new))
    for store in (info.info.store_id, chunk.store_id, command.blueprint_id):
        assert (store.kind, store.recording_id, store.application_id.id) == (encoder.BLUEPRINT, "plan", "new")
    assert (command.make_active, command.make_default) == (False, True)
    assert decoder.read_chunk(chunk.SerializeToString())[1].entity_path == "/world/points"


def test_a_blueprint_of_the_same_application_is_untouched():
    """But for the row id of its store info, so that sending it again is another run of messages; without an activation it gets one."""
    data = plan(points())[: -len(activation())]
    first, second = (split(blueprint(stream(data), "app", make_active=True, make_default=False)) for _ in range(2))
    assert first[1:] == second[1:] == [split(data)[1], activation(make_active=True)]
    assert first[0] != second[0]
    bare = split(blueprint(stream(framed(points())), "app", make_active=True, make_default=False))
    assert [framing.FRAME.unpack(message[:16])[0] for message in bare] == [1, 2, 3]  # readers want its application before its chunks


def test_what_is_no_blueprint_is_refused(tmp_path):
    """Files without a blueprint, damaged ones and objects are refused with what was expected."""
    for data, why in [
        (b"RRF1", "begins with"),
        (stream(), "holds no blueprint"),
        (stream(framed(points(), encoder.store_id("app", "recording"))), "holds no blueprint"),
        (stream(plan(points()))[:-3], "announces"),
        (stream(framing.frame(framing.ARROW_MSG, b"\xff")), "does not decode"),
    ]:
        with pytest.raises(ValueError, match=why):
            sending.blueprint_messages(data, "app", make_active=True, make_default=True)
    with pytest.raises(TypeError, match=r"or the bytes or the path of an \.rbl file, got object"):
        sending.blueprint_messages(object(), "app", make_active=True, make_default=True)
    with pytest.raises(FileNotFoundError):
        sending.blueprint_messages(tmp_path / "none.rbl", "app", make_active=True, make_default=True)
