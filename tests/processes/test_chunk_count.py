"""P6: the number of chunks does not grow with the number of producers."""

from __future__ import annotations

from helpers import check, run

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
    """Eight processes give as few chunks as one that logs all their rows: one an entity for each interval, not for each process."""
    for processes, entities in ((8, 5), (1, 40)):
        path = tmp_path / f"{processes}.rrd"
        # one process logs the rows of all eight: eight times as many a round, over the same five entities
        text = PROGRAM if processes > 1 else PROGRAM.replace('f"entity/{e}"', 'f"entity/{e % 5}"')
        run(text, tmp_path, arguments=(processes, 1500, entities, path))
        found = [row for entity, rows in check(path).items() if entity.startswith("/entity") for row in rows]
        assert len(found) == 1500 * 40
        times = [row["log_time"] for row in found]
        seconds = (max(times) - min(times)) / 1e9
        # intervals of 50, 100, ... 800 ms, then of 1 s; one at the end, and one to spare; and those that are full before their time
        assert len({row["chunk"] for row in found}) <= 5 * (5 + seconds + 2) + len(found) / 4096, seconds
