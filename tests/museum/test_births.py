"""Seen: trees and sessions whose maker died at a bad moment stayed for ever, or stopped everybody who came later."""

from __future__ import annotations

import os
import signal
import time

from helpers import check, run, scalars, start

from shmrerun.testing import wait_until

SHORT = "import shmrerun as rr\nrr.init('museum')\nrr.save('{}.rrd')\nrr.log('rows', rr.Scalars(0))"


def test_killed_while_making_a_recording(tmp_path):
    """SIGKILL at random moments of ``init`` leaves nothing once the next program has come and gone. Seen: in 20 of 150."""
    for number in range(25):
        program = start(
            "import shmrerun as rr\nrr.init('museum')\nrr.save('out.rrd')\nrr.log('rows', rr.Scalars(0))", tmp_path, name="born"
        )
        time.sleep(0.08 + 0.012 * number)  # imports take so long; then the kill falls into init, save, log or the end
        program.process.send_signal(signal.SIGKILL)
        program.wait(check=False)
    run(SHORT.format("next"), tmp_path)
    check(tmp_path / "next.rrd")


def test_named_tree_killed_between_making_and_filling(tmp_path):
    """Seen: every later ``init`` of that name failed. Whoever comes next fills it."""
    text = """
    import os, sys
    import shmrerun as rr
    from shmrerun.producer.process import this_process
    token = this_process().named()
    if sys.argv[1] == "half":
        import posix_ipc
        from shmrerun.shm import places
        os.makedirs(f"{places.runtime_directory()}/{token}", mode=0o700, exist_ok=True)
        posix_ipc.SharedMemory(f"/shmrerun-{token}", posix_ipc.O_CREX, mode=0o600, size=int(sys.argv[2]))
        os._exit(0)
    rr.init("museum"); rr.save("out.rrd")
    rr.log("rows", rr.Scalars(0))
    """
    for size in (1, 1 << 20):
        env = {"SHMRERUN_TREE": f"museum {os.getpid()} {size}"}
        run(text, tmp_path, arguments=("half", size), env=env, strict=False)
        run(text, tmp_path, arguments=("whole", 0), env=env)
        assert scalars(check(tmp_path / "out.rrd"), "/rows") == [0]


def test_process_stopped_in_the_birth_lock(tmp_path):
    """Seen: it blocked everybody who joined. A tree that exists is joined without the lock; one that does not says who holds it."""
    env = {"SHMRERUN_TREE": f"stopped {os.getpid()}"}
    holder = start(
        """
        import os, sys, time
        import shmrerun as rr
        from shmrerun.producer.process import this_process
        from shmrerun.shm import places
        from shmrerun.shm.locks import lock_byte
        from shmrerun.shm.tree import BIRTH_BYTE
        directory = f"{places.runtime_directory()}/{this_process().named()}"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fd = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT, 0o600)
        assert lock_byte(fd, BIRTH_BYTE)
        print("holds", flush=True)
        while not os.path.exists("go"): time.sleep(0.01)
        """,
        tmp_path,
        env=env,
    )
    wait_until(lambda: "holds" in holder.output()[0], 20, "the lock is held")
    os.kill(holder.pid, signal.SIGSTOP)
    result = run(
        """
        import time
        import shmrerun as rr
        began = time.monotonic()
        try:
            rr.init("museum")
        except RuntimeError as error:
            print(error)
        print(time.monotonic() - began < 20)
        """,
        tmp_path,
        env=env,
        strict=False,
    )
    assert f"process {holder.pid}" in result.stdout
    assert result.stdout.rstrip().endswith("True")
    os.kill(holder.pid, signal.SIGCONT)
    (tmp_path / "go").touch()
    holder.wait()
    run(SHORT.format("out"), tmp_path, env=env)
    check(tmp_path / "out.rrd")


def test_joining_takes_no_lock(tmp_path):
    """While somebody holds the birth lock of a tree that exists, its processes join and log."""
    run(
        """
        import multiprocessing, os
        import shmrerun as rr
        from shmrerun.shm.locks import lock_byte
        from shmrerun.shm.tree import BIRTH_BYTE

        def work(n):
            rr.log("child", rr.Scalars(n))

        if __name__ == "__main__":
            rr.init("museum"); rr.save("out.rrd")
            rr.log("rows", rr.Scalars(0))
            tree = rr.get_global_data_recording()._stream.session.tree
            assert lock_byte(tree.lock_fd(), BIRTH_BYTE)
            for method in ("fork", "spawn"):
                child = multiprocessing.get_context(method).Process(target=work, args=(1,))
                child.start(); child.join(20)
                assert child.exitcode == 0
            from shmrerun.shm.locks import unlock_byte
            unlock_byte(tree.lock_fd(), BIRTH_BYTE)
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/child") == [1, 1]


def test_aggregator_killed_in_the_end_of_a_session(tmp_path):
    """Seen: killed between a session's entry and its segment, it left the segment, and exits waited 12 s. Each step can be done again."""
    result = run(
        """
        import os, signal, time
        import shmrerun as rr
        from shmrerun.shm.words import STATE_ENDED, STATE_ENDING

        rr.init("museum"); rr.save("out.rrd")
        rr.log("rows", rr.Scalars(0))
        for state in (STATE_ENDING, STATE_ENDED):
            rec = rr.RecordingStream("other", send_properties=False)
            session = rec._stream.session
            pid = session.tree.words.aggregator_pid
            os.kill(pid, signal.SIGSTOP)  # as if it had died in the middle of the end
            session.leave()
            session.words.state = state
            os.kill(pid, signal.SIGKILL)
            session.tree.ensure_aggregator(certain=True)
            deadline = time.monotonic() + 20
            while any(serial == session.serial for _, serial, _ in session.tree.sessions()):
                assert time.monotonic() < deadline
                session.tree.ensure_aggregator()
                time.sleep(0.01)
            assert not os.path.exists(f"/dev/shm/shmrerun-{session.tree.token}.{session.serial}")
            print(session.words.state == STATE_ENDED)
        began = time.monotonic()
        rr.disconnect()
        print(time.monotonic() - began < 10)
        """,
        tmp_path,
        strict=False,
    )
    assert result.stdout.split() == ["True"] * 3
    check(tmp_path / "out.rrd")
