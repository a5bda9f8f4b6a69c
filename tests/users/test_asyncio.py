"""An asyncio program whose tasks each have a recording."""

from __future__ import annotations

from helpers import check, run, scalars


def test_interleaved_tasks(tmp_path):
    """Two tasks that take turns inside `with a:` and `with b:` each log into their own recording, and only there."""
    run(
        """
        import asyncio
        import shmrerun as rr

        async def task(name, rec, other):
            with rec:
                for i in range(20):
                    rr.log("rows", rr.Scalars(i))
                    rr.log(f"only/{name}", rr.Scalars(i))
                    assert rr.get_recording_id() == rec.get_recording_id()
                    await asyncio.sleep(0)

        async def main():
            a, b = (rr.RecordingStream("tasks", recording_id=name) for name in "ab")
            a.save("a.rrd")
            b.save("b.rrd")
            await asyncio.gather(task("a", a, b), task("b", b, a))
            rr.log("outside", rr.Scalars(1))
            assert rr.get_recording_id() == rr.get_global_data_recording().get_recording_id()

        rr.init("global")
        rr.save("global.rrd")
        asyncio.run(main())
        """,
        tmp_path,
    )
    for name, other in ("ab", "ba"):
        rows = check(tmp_path / f"{name}.rrd")
        assert scalars(rows, "/rows") == list(range(20))
        assert scalars(rows, f"/only/{name}") == list(range(20))
        assert f"/only/{other}" not in rows
    assert scalars(check(tmp_path / "global.rrd"), "/outside") == [1]


def test_threads_of_a_task(tmp_path):
    """Work that a task hands to a thread logs into the global recording, as any thread does, not into another task's."""
    run(
        """
        import asyncio
        import shmrerun as rr

        def blocking(i):
            rr.log("thread", rr.Scalars(i))

        async def task(rec):
            with rec:
                rr.log("task", rr.Scalars(0))
                await asyncio.get_running_loop().run_in_executor(None, blocking, 1)
                rr.log("task", rr.Scalars(1))

        rr.init("global")
        rr.save("global.rrd")
        rec = rr.RecordingStream("task")
        rec.save("task.rrd")
        asyncio.run(task(rec))
        """,
        tmp_path,
    )
    rows = check(tmp_path / "task.rrd")
    assert scalars(rows, "/task") == [0, 1]
    assert scalars(check(tmp_path / "global.rrd"), "/thread") == [1]
