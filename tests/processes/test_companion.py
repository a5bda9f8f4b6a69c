"""Programs beside ours: what they hold, who waits for them, and how they end."""

import os
import signal

import pytest
from helpers import is_gone, run

from shmrerun.producer.companion import Companion
from shmrerun.testing import wait_until


def descriptors(pid):
    return {int(name): os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


def keeper_of(companion):
    with open(f"/proc/{companion.pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[1])


@pytest.fixture
def sleeper():
    found = Companion(["/bin/sleep", "100"])
    wait_until(lambda: "python" not in os.readlink(f"/proc/{found.pid}/exe"), 10, "sleep runs")
    yield found
    found.end()
    wait_until(lambda: is_gone(found.pid), 10, "it ends")


def test_holds_nothing_of_ours(sleeper):
    """The program has an empty input and a file without a name; its keeper has no descriptor of ours but the pipes between us."""
    wait_until(lambda: descriptors(sleeper.pid).keys() == {0, 1, 2}, 10, "exec closes what is not the program's")
    output = descriptors(sleeper.pid)
    assert output[0] == "/dev/null"
    assert output[1] == output[2]
    assert output[1].endswith("(deleted)")
    keeper = descriptors(keeper_of(sleeper))
    assert [keeper[number] for number in (0, 1, 2)] == ["/dev/null"] * 3
    assert all(name.startswith(("/dev/null", "pipe:")) for name in keeper.values()), keeper


def test_is_nobodys_child(sleeper):
    """The program is no child of ours, so there is nothing to wait for."""
    assert keeper_of(sleeper) != os.getpid()
    with pytest.raises(ChildProcessError):
        os.waitpid(sleeper.pid, os.WNOHANG)


def test_ends_when_its_keeper_is_asked_to(sleeper):
    """A SIGTERM to the keeper ends the program, and is told as its end."""
    os.kill(keeper_of(sleeper), signal.SIGTERM)
    assert sleeper.ended(20) == -signal.SIGTERM


def test_killed_keeper_is_an_error(sleeper):
    """Without its keeper a program's end cannot be known: that is an error, not a wait."""
    keeper = keeper_of(sleeper)
    os.kill(keeper, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="killed"):
        sleeper.ended(20)
    os.kill(sleeper.pid, signal.SIGKILL)


def test_program_that_cannot_run():
    """A file that is no program ends with status 127 and says why."""
    found = Companion(["/etc/passwd"])
    assert found.ended(20) == 127
    assert "cannot run /etc/passwd: [Errno 13] Permission denied" in found.last_lines()
    found.forget()


def test_stubborn_program_is_killed():
    """A program that ignores SIGTERM is killed, with what it started; no descriptor of ours stays open."""
    before = set(os.listdir("/proc/self/fd"))
    found = Companion(["/bin/sh", "-c", "trap '' TERM; sleep 100 & echo $!; while :; do wait; done"])
    wait_until(lambda: found.output().isdigit(), 10, "it runs")
    inner = int(found.output())
    found.end()
    assert is_gone(found.pid)
    wait_until(lambda: is_gone(inner), 10, "what it started ends")
    assert set(os.listdir("/proc/self/fd")) == before


def test_signals_of_the_caller_do_not_matter(tmp_path):
    """A caller that ignores SIGCHLD and blocks signals starts, watches and ends a program like any other."""
    result = run(
        """
        import signal
        from shmrerun.producer.companion import Companion
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD, signal.SIGINT])
        print(Companion(["/bin/sh", "-c", "exit 7"]).ended(20))
        found = Companion(["/bin/sleep", "100"])
        found.end()
        """,
        tmp_path,
    )
    assert result.stdout == "7\n"
