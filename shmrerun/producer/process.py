"""What belongs to one process of a program: its trees, its sessions, and which process it follows."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Protocol

from shmrerun import _core
from shmrerun.errors import SegmentError
from shmrerun.loaded import loaded
from shmrerun.producer.member import Session
from shmrerun.shm import places, sweep
from shmrerun.shm.tree import Tree, TreeEndedError

if TYPE_CHECKING:
    from collections.abc import Callable

TREE_VARIABLE = "SHMRERUN_TREE"


class Follow:
    """Another process of a tree, whose global recording is ours until we call ``init``."""

    __slots__ = ("index", "serial", "token")

    def __init__(self, token: str, index: int, serial: int) -> None:
        self.token, self.index, self.serial = token, index, serial

    @classmethod
    def parse(cls, text: str) -> Follow | None:
        """From the text that :meth:`__str__` made; None if it is not one."""
        token, _, rest = text.partition(":")
        index, _, rest = rest.partition(":")
        serial, _, home = rest.partition(":")
        if not (token.isalnum() and index.isdigit() and serial.isdigit()):
            return None
        return cls(places.arrive(f"{token}:{home}"), int(index), int(serial))

    def __str__(self) -> str:
        home = places.address(self.token)[len(self.token) :]  # empty, or a colon and the directory
        return f"{self.token}:{self.index}:{self.serial}{home}"


class Work(Protocol):
    """What another process does for this one, logging into a recording of it."""

    key: int  # of the stream
    name: str  # for messages

    def wait(self, timeout: float) -> bool:
        """Wait until it is done; False: not in time (seconds)."""

    def end(self) -> None:
        """Ask it to come to its end, since this process does."""


class Process:
    """What belongs to this process alone. A forked child gets a fresh one, which keeps only whom to follow."""

    def __init__(self, before: Process | None) -> None:
        self.stamp = _core.stamp()
        self.pid = os.getpid()
        self.user = os.geteuid()
        self.parent = before.pid if before else 0  # that forked us
        self.parent_user = before.user if before else self.user
        self.lock = threading.RLock()
        self.trees: dict[str, Tree] = {}
        self.sessions: dict[tuple[str, int], Session] = {}
        self.forked = before is not None
        self.own: str | None = before.own if before else None  # token of the tree that our sessions are made in
        self.follow: Follow | None = before.followed() if before else None
        self.made_global = False  # we called init: follow nobody
        self.next_look = 0
        self.looks = 0  # at the processes that started this one
        self.hooked = False
        self.ended = False  # the exit hook has run
        self.owned: dict[tuple[str, int], Session] = {}  # sessions whose sink we set
        self.published = False
        self.refusal: str | None = None  # why the recording that we follow cannot be reached
        self.work: list[Work] = []  # that is not known to be done
        self.unjoined = 0  # rows that could go nowhere because this process could not join

    def followed(self) -> Follow | None:
        """Whom a forked child of ours follows: ourselves if we made a recording, else whom we follow."""
        tree = self.trees.get(self.own or "")
        if self.made_global and tree is not None and tree.index >= 0:
            return Follow(tree.token, tree.index, tree.serial)
        return self.follow

    def is_child(self) -> bool:
        """Whether this process was made by another one of the program: forked, or by multiprocessing."""
        if self.forked or TREE_VARIABLE in os.environ:
            return True
        module = loaded("multiprocessing.process")
        return module is not None and module.parent_process() is not None

    def tree(self, token: str) -> Tree:
        """Our part in a tree that exists. FileNotFoundError: it has ended."""
        with self.lock:
            tree = self.trees.get(token)
            if tree is None:
                tree = self.trees[token] = Tree.attach(token)
            return tree

    def named(self) -> str | None:
        """Token of the tree that the environment names, the same for all processes of this user since the machine started."""
        name = os.environ.get(TREE_VARIABLE)
        if not name:
            return None
        return places.new_token(name)

    def own_tree(self, discover: Callable[[Process], Follow | None]) -> Tree:
        """The tree that this process makes its sessions in: the named one, the one it was born into, or a new one."""
        with self.lock:
            name = self.named()
            if name:
                self.own = name
            elif self.own is None and self.is_child():
                follow = self.follow or discover(self)
                self.own = follow.token if follow else None
            for _ in range(3):
                tree = self.trees.get(self.own or "")
                try:
                    if tree is None:
                        tree = Tree.create(self.own) if name or self.own is None else Tree.attach(self.own)
                    tree.claim()
                except (FileNotFoundError, TreeEndedError):
                    self.trees.pop(self.own or "", None)
                    self.own = self.own if name else None
                    continue
                if tree.is_new:
                    sweep.notice(os.path.dirname(tree.directory))
                self.own = tree.token
                self.trees[tree.token] = tree
                return tree
            raise SegmentError("the tree ends as fast as it is joined; try again")

    def session(self, token: str, serial: int) -> Session:
        """Our part in a session of a tree. TreeEndedError, FileNotFoundError: it has ended."""
        with self.lock:
            session = self.sessions.get((token, serial))
            if session is None or session.index < 0:
                session = Session.attach(self.tree(token), serial)
                session.join()
                self.sessions[token, serial] = session
            return session

    def owns(self, session: Session) -> None:
        """This process set the session's sink: it waits for it at its end."""
        self.owned[session.tree.token, session.serial] = session

    def disown(self, session: Session) -> None:
        """The sink is closed, or somebody else's."""
        self.owned.pop((session.tree.token, session.serial), None)


_process = Process(None)


def this_process() -> Process:
    """The calling process's state; made anew in a forked child, raw forks included."""
    global _process
    if _process.stamp != _core.stamp():
        _process = Process(_process)
    return _process


def is_inheriting() -> bool:
    """Whether multiprocessing is running a module's top level again in a child, or in the forkserver."""
    module = loaded("multiprocessing.process")
    return module is not None and bool(getattr(module.current_process(), "_inheriting", False))
