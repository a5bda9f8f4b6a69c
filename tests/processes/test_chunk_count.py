"""P6: the number of chunks does not grow with the number of producers."""

from __future__ import annotations

from helpers import check, chunks, run

PROGRAM = """
    import multiprocessing, sys, time
    import shmrerun as rr

    PROCESSES, ROUNDS, ENTITIES, PATH = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

    def work(number):
        rr.log("begun", rr.Scalars(number))
        next_round = time.monotonic()
        for i in range(ROUNDS):
            next_round += 0.002
            for e in range(ENTITIES):
                rr.log(f"entity/{e}", rr.Scalars(i))
            while time.monotonic() < next_round:  # the same rate whatever the number of processes
                time.sleep(0.0002)

    if __name__ == "__main__":
        rr.init("chunks")
        rr.save(PATH)
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=work, args=(n,)) for n in range(PROCESSES)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
"""


def test_chunks_of_eight_processes_are_those_of_one(tmp_path):
    """Eight processes that log the same entities for the same time give at most a tenth more chunks than one that logs all rows."""
    found = {}
    for processes, entities in ((8, 5), (1, 40)):
        path = tmp_path / f"{processes}.rrd"
        # one process logs the rows of all eight: eight times as many a round, over the same five entities
        text = PROGRAM if processes > 1 else PROGRAM.replace('f"entity/{e}"', 'f"entity/{e % 5}"')
        run(text, tmp_path, arguments=(processes, 1500, entities, path))
        rows = check(path)
        assert sum(len(found) for entity, found in rows.items() if entity.startswith("/entity")) == 1500 * 40
        found[processes] = len({row["chunk"] for entity, values in rows.items() if entity.startswith("/entity") for row in values})
    assert found[8] <= found[1] * 1.1 + 1, found
    assert chunks(check(tmp_path / "8.rrd")) < 200
