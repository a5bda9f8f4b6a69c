"""`memory_recording` and `binary_stream` as a cursor over the log."""

from helpers import check, run, scalars


def pieces(tmp_path):
    """Rows of all pieces that a program has left."""
    found = []
    for path in sorted(tmp_path.glob("piece-*.rrd")):
        rows = check(path)
        for entity in sorted(rows):
            if not entity.startswith("/__"):
                found += [(entity, n) for n in scalars(rows, entity)]
    return found


def test_threads_workers_and_deaths(tmp_path):
    """Rows of four forked workers, drained by three threads while aggregators are killed, are each in exactly one drain's result."""
    result = run(
        """
        import os, random, signal, threading, time
        import shmrerun as rr
        from helpers_programs import own_tree
        from shmrerun.testing import aggregator_pid
        rr.init("app")
        memory = rr.memory_recording()
        rr.log("warm", rr.Scalars(0))
        memory.num_msgs()
        children = []
        for k in range(4):
            if (pid := os.fork()) == 0:
                for i in range(400):
                    rr.log(f"w/{k}", rr.Scalars(i))
                    time.sleep(0.003 * random.random())
                os._exit(0)
            children.append(pid)
        done, lock, count = threading.Event(), threading.Lock(), 0
        def drain():
            global count
            while True:
                last = done.is_set()
                data = memory.drain_as_bytes()
                if len(data) > 60:
                    with lock:
                        count += 1
                    with open(f"piece-{threading.get_ident()}-{time.monotonic_ns()}.rrd", "wb") as file:
                        file.write(data)
                if last:
                    return
                time.sleep(0.05 * random.random())
        threads = [threading.Thread(target=drain) for _ in range(3)]
        for thread in threads:
            thread.start()
        killed = 0
        for _ in range(3):
            time.sleep(0.15)
            if pid := aggregator_pid(own_tree()):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        for pid in children:
            os.waitpid(pid, 0)
        done.set()
        for thread in threads:
            thread.join()
        assert memory.num_msgs() == 0
        print(killed, count)
        """,
        tmp_path,
        deadline=100,
    )
    killed, count = map(int, result.stdout.split())
    assert killed >= 1
    assert count >= 3
    assert sorted(pieces(tmp_path)) == sorted([("/warm", 0), *((f"/w/{k}", i) for k in range(4) for i in range(400))])


def test_what_was_drained_is_given_back(tmp_path):
    """A spool that is drained as it fills holds little on disk, and its static rows stay; a reader that reads late gets all."""
    run(
        """
        import os
        import numpy as np
        import shmrerun as rr
        from shmrerun.producer.active import active_stream
        from shmrerun.shm.log_reader import log_of
        from shmrerun.testing import wait_until
        rr.init("app")
        stream = rr.binary_stream()
        noise = np.random.default_rng(0).integers(0, 256, (500, 1000, 3), np.uint8)
        for i in range(20):
            for k in range(2):
                rr.log("image", rr.Image(noise))
            assert len(stream.read()) > 2 * noise.nbytes
        rr.log("end", rr.Scalars(1))
        assert stream.read()
        found = os.stat(log_of(active_stream(None).live().words).path)
        assert found.st_size > 40 * noise.nbytes, found
        assert found.st_blocks * 512 < 8 * noise.nbytes, found
        for i in range(10):
            rr.log("image", rr.Image(noise))
        assert len(stream.read()) > 10 * noise.nbytes
        assert stream.read() is None
        """,
        tmp_path,
        deadline=100,
    )


def test_a_later_sink_gets_later_rows(tmp_path):
    """A memory recording whose sink was replaced keeps what it got, and the file gets the rest; counting takes nothing."""
    run(
        """
        import os
        import shmrerun as rr
        rr.init("app")
        rr.log("x", rr.Scalars(1))
        memory = rr.memory_recording()
        assert rr.memory_recording().num_msgs() == memory.num_msgs() >= 2
        rr.log("x", rr.Scalars(2))
        rr.save("out.rrd")
        rr.log("x", rr.Scalars(3))
        if os.fork() == 0:
            os._exit(len(memory.drain_as_bytes()))
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 60
        with open("piece-1.rrd", "wb") as file:
            file.write(memory.drain_as_bytes())
        assert len(memory.drain_as_bytes()) == 60
        again = rr.memory_recording()
        rr.log("x", rr.Scalars(4))
        del again
        again = rr.memory_recording()  # the same rows: nobody has read them
        rr.disconnect()
        with open("piece-2.rrd", "wb") as file:
            file.write(again.drain_as_bytes())
        """,
        tmp_path,
    )
    assert pieces(tmp_path) == [("/x", 1), ("/x", 2), ("/x", 4)]
    assert scalars(check(tmp_path / "out.rrd"), "/x") == [3]
