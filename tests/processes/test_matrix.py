"""Rows in the file == calls that returned: every start method, every kind of worker, every way to end."""

from __future__ import annotations

import pytest
from helpers import check, has_footer, run, scalars
from helpers_programs import returned

PROGRAM = """
    import concurrent.futures, multiprocessing, os, sys, threading
    import shmrerun as rr
    from shmrerun.testing import wait_until
    from helpers_programs import work

    METHOD, ORDER, HOW, DIRECTORY, ROWS = sys.argv[1:5] + [int(sys.argv[5])]

    def in_thread(*arguments):
        thread = threading.Thread(target=work, args=arguments)
        thread.start()
        thread.join()

    def gone(number):
        try:
            with open(f"{DIRECTORY}/pid-{number}") as file:
                pid = int(file.read())
        except (FileNotFoundError, ValueError):  # it has not begun, or its number is not written yet
            return False
        return is_gone(pid)

    def processes(context, first, target):
        found = [context.Process(target=target, args=(n, ROWS, DIRECTORY, HOW)) for n in (first, first + 1)]
        for process in found:
            process.start()
        for process in found:
            process.join()

    def pool(context, first):
        with context.Pool(2) as workers:
            results = [workers.apply_async(work, (n, ROWS, DIRECTORY, HOW)) for n in (first, first + 1)]
            if HOW == "normal":
                for result in results:
                    result.get(60)
            else:
                for n in (first, first + 1):
                    wait_until(lambda: gone(n), 60, f"worker {n} ended")

    def executor(context, first):
        for n in (first, first + 1):  # one worker each: an executor ends the others when one dies
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as workers:
                result = workers.submit(work, n, ROWS, DIRECTORY, HOW)
                try:
                    result.result(60)
                except concurrent.futures.process.BrokenProcessPool:
                    assert HOW != "normal"

    if __name__ == "__main__":
        from helpers import is_gone
        context = multiprocessing.get_context(METHOD)
        if ORDER == "before":
            from multiprocessing import forkserver
            forkserver.ensure_running()
        rr.init("matrix")
        rr.save(f"{DIRECTORY}/out.rrd")
        processes(context, 0, work)
        pool(context, 2)
        executor(context, 4)
        processes(context, 6, in_thread)
        work(8, ROWS, DIRECTORY, "normal")
"""
ROWS = 25
METHODS = [("fork", "-"), ("spawn", "-"), ("forkserver", "before"), ("forkserver", "after")]


@pytest.mark.parametrize("how", ["normal", "exit", "term", "kill"])
@pytest.mark.parametrize(("method", "order"), METHODS, ids=lambda value: value)
def test_rows_are_calls_that_returned(tmp_path, method, order, how):
    """Whatever starts a worker and however it ends, the file has each row whose call returned, once, value by value."""
    run(PROGRAM, tmp_path, arguments=(method, order, how, tmp_path, ROWS), deadline=90)
    rows = check(tmp_path / "out.rrd")
    assert has_footer(tmp_path / "out.rrd")
    counted = returned(tmp_path)
    assert counted == dict.fromkeys(range(9), ROWS)
    expected = {(number, sequence) for number in counted for sequence in range(ROWS)}
    for number in range(9):
        own = list(scalars(rows, f"/worker/{number}"))
        assert own == [(number, sequence) for sequence in range(0, ROWS, 2)]
    found = [
        (*pair, row["step"])
        for entity in rows
        if not entity.startswith("/__")
        for pair, row in zip(scalars(rows, entity), rows[entity], strict=True)
    ]
    assert sorted(found) == sorted((number, sequence, sequence) for number, sequence in expected)
    shared = [row["log_tick"] for entity in rows if not entity.startswith("/__") for row in rows[entity]]
    assert len(set(shared)) == len(shared)
