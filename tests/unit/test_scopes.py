"""Decorators and helpers around the active recording, without any process of its own: no recording is made here."""

import pytest

import shmrerun as rr


def test_generator_ctx_refuses_plain_functions():
    """Only generator functions can hold a context across yields."""
    with pytest.raises(ValueError, match="generator"):
        rr.recording_stream_generator_ctx(lambda: None)


def test_batcher_config_values():
    """Limits read back as given, tick as timedelta; equality is by value; bad counts are refused."""
    config = rr.ChunkBatcherConfig(flush_tick=0.1, flush_num_rows=3)
    assert config.flush_tick.total_seconds() == 0.1
    assert (config.flush_num_rows, config.flush_num_bytes) == (3, None)
    assert config == rr.ChunkBatcherConfig(flush_tick=0.1, flush_num_rows=3) != rr.ChunkBatcherConfig.DEFAULT()
    with pytest.raises(OverflowError):
        rr.ChunkBatcherConfig(flush_num_rows=-1)
    with pytest.raises(TypeError):
        rr.ChunkBatcherConfig(flush_num_rows=1.5)


def test_file_sinks_are_equal_by_path():
    """FileSink compares by path and flag, and prints as Rerun's does."""
    assert rr.FileSink("x") == rr.FileSink("x") != rr.FileSink("x", write_footer=False)
    assert repr(rr.FileSink("x")) == 'FileSink("x", write_footer=true)'


@pytest.mark.parametrize("call", ["save", "disconnect", "reset_time"])
def test_calls_without_a_recording_do_nothing(call, tmp_path, caplog):
    """Without a recording every call is a no-op; sinks say that they were ignored."""
    arguments = (tmp_path / "x.rrd",) if call == "save" else ()
    getattr(rr, call)(*arguments)
    assert not list(tmp_path.iterdir())
    assert ("ignored" in caplog.text) == (call == "save")


def test_memory_without_a_recording_is_an_error():
    """memory_recording and binary_stream need a recording, and say so."""
    with pytest.raises(RuntimeError, match="No recording"):
        rr.memory_recording()
    with pytest.raises(RuntimeError, match="No recording"):
        rr.binary_stream()
