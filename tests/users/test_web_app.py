"""A web application that answers each request with a recording of its own."""

from __future__ import annotations

from helpers import check, run, scalars


def test_a_recording_per_request(tmp_path):
    """Forty requests served by eight threads each read back exactly their own rows, whole, through `binary_stream`."""
    run(
        """
        from concurrent.futures import ThreadPoolExecutor
        import shmrerun as rr

        def serve(request):
            rec = rr.RecordingStream("web", recording_id=f"request-{request}")
            stream = rec.binary_stream()
            with rec:
                for i in range(5):
                    rr.set_time("i", sequence=i)
                    rr.log("answer", rr.Scalars([request, i]))
                first = stream.read()
                rr.log("more", rr.Scalars(request))
            second = stream.read()
            assert first and second, (request, first is None, second is None)
            assert stream.read() is None
            return request, first, second

        with ThreadPoolExecutor(8) as pool:
            for request, first, second in pool.map(serve, range(40)):
                for name, data in (("first", first), ("second", second)):
                    with open(f"{request}-{name}.rrd", "wb") as file:
                        file.write(data)
        """,
        tmp_path,
    )
    for request in range(0, 40, 3):
        assert scalars(check(tmp_path / f"{request}-first.rrd"), "/answer") == [(request, i) for i in range(5)]
        second = check(tmp_path / f"{request}-second.rrd")
        assert scalars(second, "/more") == [request]
        assert "/answer" not in second


def test_memory_recording_of_a_request(tmp_path):
    """`memory_recording` gives rows of threads and of a worker process as one whole .rrd, once."""
    run(
        """
        import multiprocessing, threading
        import shmrerun as rr

        def work(n):
            rr.log("worker", rr.Scalars(n))

        if __name__ == "__main__":
            rr.init("memory")
            memory = rr.memory_recording()
            threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            worker = multiprocessing.get_context("spawn").Process(target=work, args=(9,))
            worker.start()
            worker.join()
            assert memory.num_msgs() >= 2
            with open("out.rrd", "wb") as file:
                file.write(memory.drain_as_bytes())
            assert len(memory.drain_as_bytes()) == 60
        """,
        tmp_path,
    )
    assert sorted(scalars(check(tmp_path / "out.rrd"), "/worker")) == [0, 1, 2, 3, 9]
