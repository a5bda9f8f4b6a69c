"""send_columns: one call, one chunk, in any process, whatever dies."""

from __future__ import annotations

from helpers import check, read_rows, run


def test_columns_of_many_processes(tmp_path):
    """Each call is one chunk with its rows in order; current times and automatic timelines are not added."""
    run(
        """
        import multiprocessing
        import numpy as np
        import pyarrow as pa
        import shmrerun as rr

        class Times:
            def __init__(self, name, values): self.name, self.values = name, values
            def timeline_name(self): return self.name
            def as_arrow_array(self): return pa.array(self.values)

        def work(number):
            rr.set_time("other", sequence=5)
            for call in range(20):
                steps = np.arange(call * 50, call * 50 + 50)
                rr.send_columns(f"worker/{number}", [Times("step", steps)], rr.Scalars.columns(scalars=steps * 0.5))

        if __name__ == "__main__":
            rr.init("columns")
            rr.save("out.rrd")
            with multiprocessing.get_context("fork").Pool(3) as pool:
                pool.map(work, range(3))
            rr.send_columns("static", [], rr.TextLog.columns(text=["only"]))
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    for number in range(3):
        found = rows[f"/worker/{number}"]
        assert [row["step"] for row in found] == list(range(1000))
        assert [row["Scalars:scalars"] for row in found] == [[step * 0.5] for step in range(1000)]
        assert len({row["chunk"] for row in found}) == 20
        assert set(found[0]) == {"row_id", "chunk", "step", "Scalars:scalars"}
    assert [row["TextLog:text"] for row in rows["/static"]] == [["only"]]


def test_columns_once_while_aggregators_die(tmp_path):
    """Columns sent while aggregators are killed are in the file once each."""
    run(
        """
        import os, signal, time
        import pyarrow as pa
        import shmrerun as rr
        from helpers_programs import own_tree
        from shmrerun.testing import aggregator_pid

        class Times:
            def __init__(self, values): self.values = values
            def timeline_name(self): return "step"
            def as_arrow_array(self): return pa.array(self.values)

        rr.init("columns")
        rr.save("out.rrd")
        rec = rr.get_global_data_recording()
        for call in range(60):
            rr.send_columns("x", [Times(range(call * 3, call * 3 + 3))], rr.Scalars.columns(scalars=[1.0, 2.0, 3.0]))
            if call % 10 == 5:
                rec.flush(timeout_sec=300)
                rr.send_columns("y", [Times([call])], rr.Scalars.columns(scalars=[0.0]))
                os.kill(aggregator_pid(own_tree()), signal.SIGKILL)
        """,
        tmp_path,
        deadline=90,
    )
    rows = check(tmp_path / "out.rrd")
    assert sorted(row["step"] for row in rows["/x"]) == list(range(180))
    assert sorted(row["step"] for row in rows["/y"]) == [5, 15, 25, 35, 45, 55]


def test_bad_columns_warn_and_lose_nothing(tmp_path):
    """Columns of different lengths are refused with Rerun's words; rows before and after are there."""
    result = run(
        """
        import pyarrow as pa
        import shmrerun as rr

        class Times:
            def timeline_name(self): return "step"
            def as_arrow_array(self): return pa.array([1, 2])

        rr.init("columns")
        rr.save("out.rrd")
        rr.log("before", rr.Scalars(1))
        rr.send_columns("x", [Times()], rr.Scalars.columns(scalars=[1.0, 2.0, 3.0]))
        rr.log("after", rr.Scalars(1))
        """,
        tmp_path,
        strict=False,
    )
    assert "All columns must have the same length. Expected 2 but component 'Scalars:scalars' has 3." in result.stderr
    assert {"/before", "/after", "/__warnings"} <= set(check(tmp_path / "out.rrd"))


def test_rows_are_sorted_as_in_rerun(tmp_path):
    """By the times of all timelines in the order of their names, equal rows as they came; row ids in that order."""
    text = """
        import sys, importlib
        import numpy as np
        rr = importlib.import_module(sys.argv[1])
        random = np.random.default_rng(7)
        rr.init("columns", recording_id="columns")
        rr.save(f"{sys.argv[1]}.rrd")
        for number in range(8):
            columns = {name: random.integers(0, 4, 40) for name in ("later", "early", "middle")[: 1 + number % 3]}
            if number > 5:
                columns["early"] = np.sort(random.integers(0, 9, 40))
            times = [rr.TimeColumn(name, sequence=values) for name, values in columns.items()]
            times += [rr.TimeColumn("clock", timestamp=random.integers(1, 3, 40) * 1.0)] if number == 5 else []
            rr.send_columns(f"e{number}", times, [
                *rr.Scalars.columns(scalars=np.arange(40)), *rr.TextLog.columns(text=[str(row) for row in range(40)]),
            ])
        rr.disconnect()
        """
    for library in ("rerun", "shmrerun"):
        run(text, tmp_path, arguments=[library], strict=False)
    ours, theirs = (read_rows(tmp_path / f"{library}.rrd") for library in ("shmrerun", "rerun"))
    for number in range(8):
        found, wanted = ([{k: v for k, v in row.items() if k != "row_id"} for row in rows[f"/e{number}"]] for rows in (ours, theirs))
        assert found == wanted, number
        assert len(found) == 40
