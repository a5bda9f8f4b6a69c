"""Where trees, spools and file mappings lie: private directories of this user, and which of them a tree uses.

A *runtime directory* holds one directory a tree: ``SHMRERUN_RUNTIME_DIR``, else ``/dev/shm/shmrerun-<uid>``. A *spill directory*
holds what must not be in shared memory, or has no room there; each tree notes its own as the link ``spill`` in its directory, so
that producers, aggregator, successors and whoever cleans up agree. A directory that is not this user's alone is passed over for
the next candidate. Only :func:`runtime_directory` and :func:`spill_directory` make anything.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from base64 import b32encode
from hashlib import blake2b
from typing import TYPE_CHECKING

from shmrerun.errors import SegmentError, say_once

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNTIME_VARIABLE = "SHMRERUN_RUNTIME_DIR"
SHM = "/dev/shm"  # noqa: S108 - where Linux keeps POSIX shared memory
_SPILLS = ("/tmp", "/var/tmp")  # noqa: S108 - fixed, so that all processes of a tree agree; the directory inside is 0700
_TOKEN_BYTES = 5

_homes: dict[str, str] = {}  # tokens of trees that we met -> their runtime directory


# ---- private directories


def fault_of(path: str) -> str | None:
    """What keeps a directory from being ours alone, None if nothing does. FileNotFoundError: there is none."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        return "is no directory"
    if found.st_uid != os.geteuid():
        return f"belongs to user {found.st_uid}, not to user {os.geteuid()}"
    if stat.S_IMODE(found.st_mode) != 0o700:
        return f"has mode {stat.S_IMODE(found.st_mode):o}, not 700"
    return None


def is_private(path: str) -> bool:
    """Whether there is a directory that only this user can enter."""
    try:
        return fault_of(path) is None
    except OSError:
        return False


def _make(path: str, *, tell: bool) -> str | None:
    """Make a private directory, or check the one that is there. Returns what is wrong with it, None if nothing is."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        try:
            fault = fault_of(path)
        except OSError:  # removed at this moment
            return _make(path, tell=tell)
        if fault is not None and tell:
            say_once(
                ("passed over", path),
                f"a directory of shmrerun's {fault}; another one is used instead. Remove it, or change its owner and mode: {path}",
            )
        if fault is None and not os.access(path, os.W_OK):
            return "cannot be written"
        return fault
    except OSError as error:
        return error.strerror or str(error)
    return None


# ---- candidates, in order


def named() -> str | None:
    """The runtime directory that the environment names, None if it names none."""
    path = os.environ.get(RUNTIME_VARIABLE, "").rstrip("/")
    if not path:
        return None
    if not os.path.isabs(path):
        say_once(RUNTIME_VARIABLE, f"{RUNTIME_VARIABLE} must be an absolute path, not {path!r}; it is ignored")
        return None
    return path


def _own_names() -> Iterator[str]:
    """Places that nobody named, the best first."""
    uid = os.geteuid()
    if sys.platform == "linux" and os.access(SHM, os.W_OK):
        yield f"{SHM}/shmrerun-{uid}"
    if os.path.isabs(base := os.environ.get("XDG_RUNTIME_DIR", "")):
        yield f"{base.rstrip('/')}/shmrerun-{uid}"
    yield from _temporary()


def _temporary() -> Iterator[str]:
    seen = set()
    for base in (*_SPILLS, os.environ.get("TMPDIR", "").rstrip("/")):
        if os.path.isabs(base) and base not in seen:
            seen.add(base)
            yield f"{base}/shmrerun-{os.geteuid()}"


def runtimes() -> list[str]:
    """Runtime directories to look in, best first; not all of them exist. The named one alone, if that can be used."""
    path = named()
    if path is not None and (is_private(path) or (not os.path.lexists(path) and os.access(os.path.dirname(path), os.W_OK))):
        return [path]
    return list(_own_names())


def spills() -> list[str]:
    """Private directories, of those that exist, that may hold what spilled."""
    beside = [f"{path}/spill" for path in dict.fromkeys((*runtimes(), *_homes.values()))]
    return [path for path in (*beside, *_temporary()) if is_private(path)]


# ---- the runtime directory


def runtime_directory() -> str:
    """Make, or check, the directory for new trees. SegmentError: there is no place for one."""
    last = None
    for path in (p for p in (named(), *_own_names()) if p):
        last = _make(path, tell=True)
        if last is None:
            return path
    msg = f"no private directory can be made in {SHM} or a temporary directory ({last})"
    raise SegmentError(msg)


def is_named(runtime: str) -> bool:
    """Whether somebody named this runtime directory; it then stays when the last tree has ended."""
    return runtime not in _own_names()


def prefix_of(runtime: str) -> str:
    """What tokens of trees in a runtime directory begin with: nothing in the usual one, else a short hash."""
    return "x" + _base32(blake2b(os.fsencode(runtime), digest_size=_TOKEN_BYTES).digest())[:4] if is_named(runtime) else ""


def prefix_in(token: str) -> str:
    """Begin of a token as :func:`prefix_of` gives it for the tree's runtime directory."""
    return token[:5] if len(token) == 11 and token[0] == "x" else ""


def _base32(raw: bytes) -> str:
    return b32encode(raw).decode().lower()


def new_token(name: str | None = None) -> str:
    """Token of a new tree: random, or that of a name, the same for all processes of this user since the machine started."""
    prefix = prefix_of(runtimes()[0])
    if name is None:
        return (prefix + _base32(os.urandom(_TOKEN_BYTES)))[: 11 if prefix else 8]
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.readline().strip()
    except OSError:
        boot = ""
    digest = blake2b(f"{os.geteuid()}\0{boot}\0{name}".encode("utf-8", "surrogateescape"), digest_size=_TOKEN_BYTES)
    return prefix + _base32(digest.digest())[:6] if prefix else f"n{digest.hexdigest()}"


def has_met(token: str) -> bool:
    """Whether this process, or one that it was forked from, has met a tree."""
    return token in _homes


def settle(token: str, runtime: str) -> str:
    """Remember where the tree of a token lies. Returns the token."""
    if token.isalnum():
        _homes[token] = runtime
    return token


def runtime_of(token: str) -> str:
    """Where the tree of a token lies: as remembered, else where it is found. FileNotFoundError: nowhere."""
    home = _homes.get(token)
    if home is not None and os.path.isdir(f"{home}/{token}"):
        return home
    for path in runtimes():
        if os.path.isdir(f"{path}/{token}") and is_private(path):
            return path
    raise FileNotFoundError(2, "there is no such tree", token)


def address(token: str) -> str:
    """Token with its directory, where that is not the usual one: ``token:directory``. For those whose environment lacks it."""
    home = _homes.get(token)
    return token if home is None or home == next(_own_names()) else f"{token}:{home}"


def arrive(text: str) -> str:
    """Take the text that :func:`address` made; returns the token."""
    token, _, home = text.partition(":")
    return settle(token, home) if os.path.isabs(home) else token


# ---- the spill directory


def noted_spill(runtime: str, token: str) -> str | None:
    """The spill directory that a tree noted; None if nothing spilled yet."""
    try:
        return os.readlink(f"{runtime}/{token}/spill")
    except OSError:
        return None


def spill_directory(token: str) -> str:
    """Make, or check, the directory for spools and lanes of a tree that are not in shared memory. SegmentError: there is none."""
    runtime = _homes.get(token)
    noted = noted_spill(runtime, token) if runtime else None
    if noted and _make(noted, tell=False) is None:
        return noted
    beside = [f"{runtime}/spill"] if runtime and is_named(runtime) and not _on_shm(runtime) else []
    last = None
    for path in (*beside, *_temporary()):
        last = _make(path, tell=True)
        if last is None:
            return _note(runtime, token, path, noted) if runtime else path
    msg = f"no private directory can be made in {', '.join(_SPILLS)} or $TMPDIR ({last})"
    raise SegmentError(msg)


def _note(runtime: str, token: str, path: str, broken: str | None) -> str:
    """Note a tree's spill directory for all its processes; the first one to do so decides."""
    link = f"{runtime}/{token}/spill"
    if broken is not None:
        with contextlib.suppress(OSError):
            os.unlink(link)
    with contextlib.suppress(OSError):
        os.symlink(path, link)
    noted = noted_spill(runtime, token)
    return noted if noted is not None and is_private(noted) else path


def _on_shm(path: str) -> bool:
    try:
        return os.stat(path).st_dev == os.stat(SHM).st_dev
    except OSError:
        return False


def spill_places(token: str) -> list[str]:
    """Where to look for what a tree spilled: the place that it noted, then the others that exist."""
    runtime = _homes.get(token)
    noted = noted_spill(runtime, token) if runtime else None
    return list(dict.fromkeys(([noted] if noted and is_private(noted) else []) + spills()))


def token_of(segment: str) -> str:
    """Token of the tree that a segment, or a spool, belongs to by its name."""
    return segment.removeprefix("shmrerun-").partition(".")[0]


def remove_empty(path: str) -> None:
    """Remove a directory of ours if it is empty and nobody named it; anything else is left alone."""
    if not is_named(path) or os.path.basename(path) == "spill":
        with contextlib.suppress(OSError):
            os.rmdir(path)
