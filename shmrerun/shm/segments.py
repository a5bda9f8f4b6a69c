"""Segments of shared memory: create, attach, reserve, unlink.

A segment is a POSIX shared-memory object (``posix_ipc``), reserved in full when it is made, so that a full ``/dev/shm`` is an
error message and not a SIGBUS. Where shared memory is full, it is a file mapping in the spill directory instead.
``multiprocessing.resource_tracker`` never hears of either.
"""

from __future__ import annotations

import errno
import os

import posix_ipc

from shmrerun import _core
from shmrerun.errors import LayoutVersionError, OwnerError, SegmentError, say_once
from shmrerun.shm import places
from shmrerun.shm.words import LAYOUT_VERSION, HeadView


class NotReadyError(SegmentError):
    """A segment whose maker has not finished it: it is about to, or it died."""


def free_bytes() -> tuple[int, int]:
    """Size of the file system of shared memory, and what is free of it, in bytes."""
    found = os.statvfs(places.SHM if os.path.isdir(places.SHM) else "/tmp")  # noqa: S108 - only looked at
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _reserve(fd: int, size: int) -> None:
    """Allocate every page of the file, so that no later store can fail."""
    if hasattr(os, "posix_fallocate"):
        for _ in range(100):
            try:
                os.posix_fallocate(fd, 0, size)
            except InterruptedError:
                continue
            return
    os.ftruncate(fd, size)
    chunk = bytes(1 << 16)
    for at in range(0, size, len(chunk)):
        os.pwrite(fd, chunk[: size - at], at)


def _open_shared(name: str, size: int) -> int:
    shared = posix_ipc.SharedMemory("/" + name, posix_ipc.O_CREX, mode=0o600)
    try:
        _reserve(shared.fd, size)
    except BaseException:
        os.close(shared.fd)
        posix_ipc.unlink_shared_memory("/" + name)
        raise
    return int(shared.fd)


def open_spilled(name: str, flags: int) -> tuple[int, str]:
    """Make a file in the spill directory of the tree that its name begins with. Returns descriptor and path. OSError, SegmentError."""
    token = places.token_of(name)
    for _ in range(20):
        path = f"{places.spill_directory(token)}/{name}"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600), path
        except FileNotFoundError:  # another tree's end removed the directory at this moment
            continue
    raise FileNotFoundError(errno.ENOENT, "the spill directory is removed again and again", path)


def _open_file(name: str, size: int) -> int:
    fd, path = open_spilled(name, os.O_EXCL)
    try:
        _reserve(fd, size)
    except BaseException:
        os.close(fd)
        os.unlink(path)
        raise
    return fd


def create(name: str, size: int) -> _core.Segment:
    """Make and map a segment of zeros, exclusively; the caller publishes it by :func:`publish`.

    Falls back to a file mapping where shared memory has no room (said once on stderr). Lanes are made by ``_core/growth.c``.

    Raises
    ------
    SegmentError
        Neither shared memory nor the spill directory can hold ``size`` bytes, or a segment of that name exists.
    """
    fd = -1
    try:
        fd = _open_shared(name, size)
    except posix_ipc.ExistentialError as error:
        msg = f"a segment of that name exists already; a crashed run may have left it (segment {name})"
        raise SegmentError(msg) from error
    except (OSError, posix_ipc.Error) as error:
        total, free = free_bytes()
        place = places.spill_directory(places.token_of(name))
        say_once(
            "shared memory full",
            f"cannot reserve {size:,} bytes of shared memory ({free:,} of {total:,} bytes free: {error}). Going on with a file "
            f"mapping in {place}, which is slower. Free space in /dev/shm, or raise the container's shm size.",
        )
    if fd < 0:
        try:
            fd = _open_file(name, size)
        except OSError as error:
            msg = (
                f"cannot reserve {size:,} bytes: neither shared memory nor the temporary directory has room "
                f"({errno.errorcode.get(error.errno or 0, '?')}: {error.strerror}). Free space in either. (segment {name})"
            )
            raise SegmentError(msg) from error
    try:
        return _core.Segment(fd, size)
    finally:
        os.close(fd)


def publish(segment: _core.Segment, magic: int, *, token: bytes, serial: int = 0, maker: int = 0) -> None:
    """Write the head of a new segment, its magic last: only then does anybody attach to it."""
    head = HeadView(segment)
    head.token = token
    head.version = LAYOUT_VERSION
    head.size = segment.size
    head.serial = serial
    head.maker = maker
    head.uid = os.geteuid()
    head.magic = magic


def attach(name: str, magic: int, minimum: int, token: bytes | None = None) -> _core.Segment:
    """Map an existing segment after checking owner, mode, size, magic, version and, if given, token.

    Raises
    ------
    FileNotFoundError
        There is no such segment (any more).
    OwnerError
        It belongs to another user, or others may write to it.
    LayoutVersionError
        It was made by another version of shmrerun.
    SegmentError
        It is not ready, too small, or not what its name says.
    """
    try:
        fd = posix_ipc.SharedMemory("/" + name).fd
    except posix_ipc.ExistentialError:
        fd = _find_spilled(name)
    except posix_ipc.PermissionsError as error:
        msg = f"the segment may not be opened by user {os.geteuid()}; it belongs to somebody else (segment {name})"
        raise OwnerError(msg) from error
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            mode = f"{found.st_mode & 0o777:o}"
            msg = f"the segment belongs to user {found.st_uid} with mode {mode}, not to user {os.geteuid()} alone (segment {name})"
            raise OwnerError(msg)
        if found.st_size < minimum:
            raise NotReadyError(
                f"the segment has {found.st_size} bytes, less than the {minimum} of its kind: its maker did not finish it (segment {name})"
            )
        segment = _core.Segment(fd, found.st_size)
    finally:
        os.close(fd)
    _check_head(segment, name, magic, token)
    return segment


def _find_spilled(name: str) -> int:
    for place in places.spill_places(places.token_of(name)):
        try:
            return os.open(f"{place}/{name}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):  # it may be there
                raise
    raise FileNotFoundError(errno.ENOENT, "no such segment", name)


def _check_head(segment: _core.Segment, name: str, magic: int, token: bytes | None) -> None:
    head = HeadView(segment)
    if head.magic == 0:
        raise NotReadyError(f"the segment is not ready: its maker did not finish it (segment {name})")
    if head.magic != magic:
        raise SegmentError(f"the segment is not of the kind its name says (segment {name})")
    if head.version != LAYOUT_VERSION:
        raise LayoutVersionError(
            f"the segment has memory layout {head.version}, this shmrerun knows layout {LAYOUT_VERSION}: two versions of shmrerun "
            f"meet in one program. Install the same one in all of its environments. (segment {name})"
        )
    if head.size != segment.size:
        raise SegmentError(f"the segment has {segment.size} bytes, its head says {head.size} (segment {name})")
    if token is not None and head.token != token:
        raise SegmentError(f"the segment belongs to another session (segment {name})")


def names_of(token: str) -> list[str]:
    """Names of the segments in shared memory that are a tree's: of its sessions and lanes. Empty where they cannot be listed."""
    try:
        return [name for name in os.listdir(places.SHM) if name.startswith(f"shmrerun-{token}.")]
    except OSError:
        return []


def size_of(name: str) -> int:
    """Bytes of a segment that lies in shared memory. OSError: there is none; a file mapping does not count."""
    try:
        fd = posix_ipc.SharedMemory("/" + name).fd
    except posix_ipc.Error as error:
        raise FileNotFoundError(errno.ENOENT, "no such segment", name) from error
    try:
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


def unlink(name: str) -> bool:
    """Remove a segment's name, wherever it is. True if there was one. Mappings stay good."""
    try:
        posix_ipc.unlink_shared_memory("/" + name)
    except posix_ipc.Error:
        pass
    else:
        return True
    for place in places.spill_places(places.token_of(name)):
        try:
            os.unlink(f"{place}/{name}")
        except OSError:
            continue
        return True
    return False
