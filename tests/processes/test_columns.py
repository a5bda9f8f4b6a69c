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


def test_own_columns_and_those_of_others_are_the_same(tmp_path):
    """Columns of this package go without pyarrow, where they can; what has nothing but arrays comes to the same rows."""
    run(
        """
        import datetime, itertools, sys
        import numpy as np
        import shmrerun as rr

        class Other:
            def __init__(self, one): self.one = one
            def timeline_name(self): return self.one.timeline_name()
            def component_descriptor(self): return self.one.component_descriptor()
            def as_arrow_array(self): return self.one.as_arrow_array()

        rr.init("columns")
        rr.save("out.rrd")
        rr.send_columns("first", [rr.TimeColumn("step", sequence=np.arange(4))], rr.Scalars.columns(scalars=np.arange(4.0)))
        points = rr.Points3D.columns(positions=np.ones((8, 3))).partition([2] * 4)
        rr.send_columns("first", [rr.TimeColumn("at", duration=np.arange(4.0))], points)
        assert "pyarrow" not in sys.modules

        n = 6
        mixed = np.array([3, -2, 3, 0, 2**62, -2**63])
        times = {
            "int64": lambda: rr.TimeColumn("t", sequence=np.arange(n)),
            "strided": lambda: rr.TimeColumn("t", sequence=np.arange(2 * n)[::2]),
            "mixed": lambda: rr.TimeColumn("t", sequence=mixed),
            "list": lambda: rr.TimeColumn("t", sequence=[5, 4, 3, 2, 1, 0]),
            "range": lambda: rr.TimeColumn("t", sequence=range(n)),
            "uint8": lambda: rr.TimeColumn("t", sequence=np.arange(n, dtype=np.uint8)),
            "seconds": lambda: rr.TimeColumn("t", duration=[0.5, -1, 2, 2, 2, 1]),
            "datetimes": lambda: rr.TimeColumn("t", timestamp=np.array(["2024-01-01", "2023-01-01"] * 3, "datetime64[s]")),
            "nanos": lambda: rr.TimeNanosColumn("t", [5, 1, 2, 3, 4, 0]),
        }
        noise = np.random.default_rng(0).random
        columns = {
            "scalars": lambda: rr.Scalars.columns(scalars=noise(n)),
            "two a row": lambda: rr.Scalars.columns(scalars=noise((n, 2))),
            "points": lambda: rr.Points3D.columns(positions=noise((9, 3)), colors=[0xFF0000FF] * 9).partition([1, 0, 3, 2, 0, 3]),
            "texts": lambda: rr.TextLog.columns(text=["a", "", "ccc", "dd", "e", "f"], level=["INFO"] * n),
            "visible": lambda: rr.EncodedImage.columns(media_type=["x"] * n, opacity=noise(n)),
            "offsets": lambda: [rr.ComponentColumn("mine", rr.components.ScalarBatch(noise(9)), offsets=[0, 1, 1, 4, 6, 8, 9])],
            "a part": lambda: [rr.ComponentColumn("mine", rr.components.ScalarBatch(noise(9)), offsets=[2, 3, 3, 4, 6, 6, 8])],
            "strips": lambda: rr.LineStrips2D.columns(strips=[noise((k + 1, 2)) for k in range(n)]),
            "any": lambda: rr.AnyValues.columns(one=noise(n), two=["x"] * n),
        }
        for number, (time, column) in enumerate(itertools.product(times, columns)):
            index, own = times[time](), list(columns[column]())
            second = rr.TimeColumn("a", sequence=np.array([1, 1, 0, 0, 2, 2])) if number % 3 == 0 else None
            indexes = [index] if second is None else [index, second]
            rr.send_columns(f"own/{number}", indexes, own, strict=True)
            rr.send_columns(f"other/{number}", [Other(one) for one in indexes], [Other(one) for one in own], strict=True)
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    found = [path for path in rows if path.startswith("/own/")]
    assert len(found) == 81
    for path in found:
        own, other = ([{**row, "row_id": 0, "chunk": 0} for row in rows[one]] for one in (path, path.replace("own", "other")))
        assert len(own) == 6
        assert own == other, path


def test_what_makes_no_sense_is_said_with_or_without_pyarrow(tmp_path):
    """Offsets past the values, or that descend; times that are missing; columns of different lengths."""
    done = run(
        """
        import numpy as np
        import shmrerun as rr

        rr.init("columns")
        rr.save("out.rrd")
        steps = rr.TimeColumn("step", sequence=np.arange(2))
        values = rr.components.ScalarBatch(np.arange(4.0))
        bad = [
            ([steps], [rr.ComponentColumn("mine", values, offsets=[0, 2, 5])]),
            ([steps], [rr.ComponentColumn("mine", values, offsets=[0, 3, 1])]),
            ([steps], [rr.ComponentColumn("mine", values, lengths=[3, -1])]),
            ([steps], [rr.ComponentColumn("mine", values)]),
            ([rr.TimeColumn("at", timestamp=np.array(["NaT", "2024-01-01"], "datetime64[ns]"))], rr.Scalars.columns(scalars=[1.0, 2.0])),
            ([rr.TimeColumn("", sequence=np.arange(2))], rr.Scalars.columns(scalars=[1.0, 2.0])),
        ]
        for indexes, columns in bad:
            try:
                rr.send_columns("x", indexes, columns, strict=True)
            except Exception as error:
                print(type(error).__name__, error)
            else:
                print("nothing")
        """,
        tmp_path,
    )
    said = done.stdout.splitlines()
    assert len(said) == 6
    assert "nothing" not in said
    assert said[1] == "ValueError the offsets of a component column must not descend: row 1 is from 3 to 1"
    assert said[2] == "ValueError the offsets of a component column must not descend: row 1 is from 3 to 2"
    assert said[3].endswith("Expected 2 but component 'mine' has 4.")
    assert said[4] == "ValueError timeline 'at' has 1 nulls; every row needs a time"
    assert said[5] == "ValueError a timeline's name has 1 to 65535 bytes, got 0"
    assert set(check(tmp_path / "out.rrd")) <= {"/__properties"}
