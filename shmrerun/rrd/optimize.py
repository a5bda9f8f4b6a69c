"""Chunks merged and cut to a size: :class:`shmrerun.chunk.OptimizationProfile`.

Source: names and thresholds of ``rerun.chunk.OptimizationProfile`` of rerun-sdk 0.41; which chunks meet is decided here by row ids alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from shmrerun.rrd.arrays import ints, valid
from shmrerun.rrd.fields import descriptor_of
from shmrerun.rrd.from_arrow import assemble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SAMPLE, _KEY = "VideoStream:sample", "VideoStream:is_keyframe"
_UNLIMITED = 1 << 62
_MOST_BYTES = 1 << 30  # that are joined, since offsets of lists have 32 bits


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizationProfile:
    """What chunks are to be like, for :meth:`LazyChunkStream.collect`.

    Parameters
    ----------
    max_bytes
        Of a chunk, in memory. Smaller ones of one entity with the same columns are merged as long as they are within it, larger ones
        are cut between rows. 0: nothing is merged or cut. None, here and below: as of ``LIVE``.
    max_rows
        Of a chunk whose rows are in the order of all its timelines.
    max_rows_if_unsorted
        Of any other.
    extra_passes
        Rerun's number of passes; here the first one does it all.
    gop_batching
        Whether chunks of a ``VideoStream`` begin at key frames, where ``VideoStream:is_keyframe`` says which these are. Those up to
        the next one stay together, whatever their size. Frames are not looked into: without that component they are cut as all else.
    split_size_ratio
        Archetypes of a chunk that differ in size by this factor or more get a chunk each, 1 or greater. None: none do.
    fix_keyframe
        Not here: ValueError.

    """

    LIVE: ClassVar[OptimizationProfile]
    OBJECT_STORE: ClassVar[OptimizationProfile]

    max_bytes: int | None = None
    max_rows: int | None = None
    max_rows_if_unsorted: int | None = None
    extra_passes: int = 50
    gop_batching: bool = True
    split_size_ratio: float | None = None
    fix_keyframe: bool = False


OptimizationProfile.LIVE = OptimizationProfile(max_bytes=393_216, max_rows=4_096, max_rows_if_unsorted=1_024)
OptimizationProfile.OBJECT_STORE = OptimizationProfile(
    max_bytes=2_097_152, max_rows=65_536, max_rows_if_unsorted=8_192, split_size_ratio=10.0
)


class _Limits(NamedTuple):
    size: int
    rows: int
    rows_if_unsorted: int

    def fit(self, size: int, rows: int, *, is_sorted: bool) -> bool:
        return size <= self.size and rows <= (self.rows if is_sorted else self.rows_if_unsorted)


class _Rows:
    """A chunk, or some rows of one, whose columns have been looked at once."""

    __slots__ = ("batch", "cells", "fields", "has_union", "path", "times")

    path: bytes  # of the entity
    times: dict[str, int]  # timelines by name, and their numbers
    cells: list[int]  # numbers of the components
    fields: dict[str, pa.Field]
    has_union: bool

    def __init__(self, batch: pa.RecordBatch, like: _Rows | None = None) -> None:
        self.batch = batch
        if like is not None:
            self.path, self.times, self.cells, self.fields, self.has_union = like.path, like.times, like.cells, like.fields, like.has_union
            return
        schema = batch.schema
        self.path = schema.metadata[b"rerun:entity_path"]
        times: dict[str, int] = {}
        self.cells, self.fields = [], {}
        for at, field in enumerate(schema):
            kind = (field.metadata or {}).get(b"rerun:kind", b"data")
            if kind == b"index":
                times[field.name] = at
            elif kind == b"data" and at:
                self.cells.append(at)
                self.fields[field.name] = field
        self.times = dict(sorted(times.items()))
        self.has_union = any(_has_union(field.type) for field in self.fields.values())

    @property
    def size(self) -> int:
        """Bytes of the rows; where there are unions, whose slices cannot be measured (pyarrow 26 crashes), those of all their memory."""
        size: int = self.batch.get_total_buffer_size() if self.has_union else self.batch.nbytes
        return size

    def time(self, name: str) -> pa.Array:
        """The times on a timeline."""
        return self.batch.column(self.times[name])

    def slice(self, first: int, count: int) -> _Rows:
        """Some of the rows."""
        return _Rows(self.batch.slice(first, count), self)


class _Part:
    """Rows that stay together when others are added to them: a chunk, or some rows of one."""

    __slots__ = ("count", "ends", "first", "is_sorted", "is_whole", "last", "rows", "size", "starts")

    def __init__(self, rows: _Rows, size: int, *, is_whole: bool) -> None:
        times = [ints(rows.time(name)) for name in rows.times]
        ids = rows.batch.column(0)
        self.rows, self.size, self.count, self.is_whole = rows, size, len(ids), is_whole
        self.first, self.last = ids[0].as_py(), ids[-1].as_py()
        self.starts, self.ends = [int(column[0]) for column in times], [int(column[-1]) for column in times]
        self.is_sorted = all(bool((column[1:] >= column[:-1]).all()) for column in times)


def optimized(batches: Iterable[pa.RecordBatch], profile: OptimizationProfile) -> list[pa.RecordBatch]:
    """Return chunks with the same rows, as a profile wants them. ValueError: the profile says what cannot be.

    Static chunks are not merged or cut. Rows keep their ids; chunks that change get new ones. All chunks are in memory, and those that
    change twice.
    """
    limits, ratio = _limits(profile), profile.split_size_ratio
    whole = [tier for batch in batches if batch.num_rows for tier in _tiers(_Rows(batch), ratio)]
    if not limits.size:
        return [rows.batch for rows in whole]
    keys = _key_frames(whole) if profile.gop_batching else {}
    done = [rows.batch for rows in whole if not rows.times]
    alike: dict[Any, list[_Kin]] = {}  # by entity and timelines
    for rows in whole:
        if rows.times:
            all_kin = alike.setdefault((rows.path, tuple((name, rows.time(name).type) for name in rows.times)), [])
            if not any(kin.admit(rows) for kin in all_kin):
                all_kin.append(_Kin(rows))
    for kin in (kin for all_kin in alike.values() for kin in all_kin):
        parts = _gops(kin, keys) or sorted((part for rows in kin.chunks for part in _cut(rows, limits)), key=lambda part: part.first)
        done += [_joined(run) for run in _runs(parts, limits._replace(size=min(limits.size, _MOST_BYTES)))]
    return done


class _Kin:
    """Chunks of one entity and the same timelines that may be merged: each has a component of those before it, in the same type."""

    def __init__(self, rows: _Rows) -> None:
        self.chunks, self.fields = [rows], dict(rows.fields)

    def admit(self, rows: _Rows) -> bool:
        """Take a chunk in. False: it is none of these."""
        same = [self.fields[name].equals(field, check_metadata=True) for name, field in rows.fields.items() if name in self.fields]
        if not same or not all(same):
            return False
        self.chunks.append(rows)
        if len(same) < len(rows.fields):
            self.fields |= rows.fields
        return True


def _limits(profile: OptimizationProfile) -> _Limits:
    if profile.fix_keyframe:
        raise ValueError("fix_keyframe is not there, since frames are not looked into: use the command `rerun rrd optimize`")
    if profile.split_size_ratio is not None and not profile.split_size_ratio >= 1:
        raise ValueError(f"split_size_ratio is 1 or greater, not {profile.split_size_ratio!r}")
    names = ("max_bytes", "max_rows", "max_rows_if_unsorted")
    said = [getattr(profile, name) if getattr(profile, name) is not None else getattr(OptimizationProfile.LIVE, name) for name in names]
    for name, value in zip(names, said, strict=True):
        if value < 0:
            raise ValueError(f"{name} is 0 or greater, not {value!r}")
    return _Limits(said[0], *(value or _UNLIMITED for value in said[1:]))


def _has_union(kind: pa.DataType) -> bool:
    return pa.types.is_union(kind) or any(_has_union(kind.field(at).type) for at in range(kind.num_fields))


# ---- columns apart


def _tiers(rows: _Rows, ratio: float | None) -> list[_Rows]:
    """The chunk, or several with some of its archetypes each: key frames by themselves, and large ones apart from small ones."""
    tiers: list[list[int]] = []
    groups: dict[Any, list[int]] = {}
    for at, (name, field) in zip(rows.cells, rows.fields.items(), strict=True):
        if name == _KEY:
            tiers.append([at])
        else:
            groups.setdefault((field.metadata or {}).get(b"rerun:archetype", at), []).append(at)
    if ratio is None or len(groups) < 2:
        tiers.append([at for group in groups.values() for at in group])
    else:
        sized = sorted(((_Rows(rows.batch.select(group), rows).size, group) for group in groups.values()), key=lambda pair: -pair[0])
        before: float = 0
        for size, group in sized:
            if before and before / max(size, 1) < ratio:
                tiers[-1] += group
            else:
                tiers.append(list(group))
            before = max(size, 1)
    tiers = [tier for tier in tiers if tier]
    return [rows] if len(tiers) < 2 else [piece for tier in tiers if (piece := _with(rows, sorted(tier))) is not None]


def _with(rows: _Rows, components: list[int]) -> _Rows | None:
    """A chunk of some components, and the rows that have any of them; None: there are none."""
    there = np.any([valid(rows.batch.column(at)) for at in components], axis=0)
    if not there.any():
        return None
    batch = rows.batch.select([0, *rows.times.values(), *components])
    return _Rows(_joined([_Part(_Rows(batch if there.all() else batch.filter(pa.array(there))), 0, is_whole=False)]))


# ---- rows together, and apart


def _cut(rows: _Rows, limits: _Limits) -> Iterator[_Part]:
    """The chunk, or its halves, or theirs, until they are within the limits or one row."""
    whole, size, count = rows, rows.size, rows.batch.num_rows
    ahead = [rows]
    while ahead:
        rows = ahead.pop()
        mine = rows.batch.num_rows
        part = _Part(rows, size * mine // count if rows is whole or rows.has_union else rows.size, is_whole=rows is whole)
        if mine == 1 or limits.fit(part.size, mine, is_sorted=part.is_sorted):
            yield part
        else:
            middle = mine // 2
            ahead += [rows.slice(middle, mine - middle), rows.slice(0, middle)]


def _runs(parts: Iterable[_Part], limits: _Limits) -> Iterator[list[_Part]]:
    """Parts that are to be one chunk: as many as fit, one after the other."""
    run: list[_Part] = []
    size = count = 0
    is_sorted = True
    for part in parts:
        still = is_sorted and part.is_sorted and (not run or _follows(run[-1], part))
        if run and limits.fit(size + part.size, count + part.count, is_sorted=still):
            is_sorted = still
        else:
            if run:
                yield run
            run, size, count, is_sorted = [], 0, 0, part.is_sorted
        run.append(part)
        size, count = size + part.size, count + part.count
    if run:
        yield run


def _follows(before: _Part, part: _Part) -> bool:
    """Whether rows of both, one after the other, are in the order of row ids and all timelines."""
    return bool(part.first >= before.last) and all(start >= end for start, end in zip(part.starts, before.ends, strict=True))


def _joined(parts: list[_Part]) -> pa.RecordBatch:
    """One chunk of rows of several; a whole one by itself stays what it is."""
    first = parts[0].rows
    if len(parts) == 1 and parts[0].is_whole:
        return first.batch
    fields: dict[str, pa.Field] = {}
    for part in parts:
        if part.rows.fields.keys() != fields.keys():
            fields |= part.rows.fields
    return assemble(
        first.path.decode(),
        [(name, pa.concat_arrays([part.rows.time(name) for part in parts])) for name in first.times],
        [(descriptor_of(field), pa.concat_arrays([_component(part, field) for part in parts])) for field in fields.values()],
        row_ids=pa.concat_arrays([part.rows.batch.column(0) for part in parts]),
    )


def _component(part: _Part, field: pa.Field) -> pa.Array:
    at = part.rows.batch.schema.get_field_index(field.name)
    return pa.nulls(part.count, field.type) if at < 0 else part.rows.batch.column(at)


# ---- videos


def _key_frames(chunks: list[_Rows]) -> dict[tuple[bytes, str], set[int]]:
    """Times of key frames, by entity and timeline, as logged beside the frames."""
    found: dict[tuple[bytes, str], set[int]] = {}
    for rows in chunks:
        if _KEY in rows.fields:
            is_key = np.array([bool(row and row[0]) for row in rows.batch.column(_KEY).to_pylist()], np.bool_)
            for name in rows.times:
                found.setdefault((rows.path, name), set()).update(ints(rows.time(name))[is_key].tolist())
    return found


def _gops(kin: _Kin, keys: dict[tuple[bytes, str], set[int]]) -> list[_Part]:
    """Frames from each key frame to before the next one; none where key frames are unknown, too far apart, or frames not in their order."""
    first = kin.chunks[0]
    timeline = next((name for name in first.times if keys.get((first.path, name))), None)
    if _SAMPLE not in kin.fields or timeline is None:
        return []
    wanted = np.array(sorted(keys[first.path, timeline]), np.int64)
    pieces = sorted((_Part(rows, rows.size, is_whole=True) for rows in kin.chunks), key=lambda part: part.first)
    if not all(piece.is_sorted for piece in pieces) or not all(_follows(*pair) for pair in itertools.pairwise(pieces)):
        return []
    groups: list[list[_Part]] = []
    for piece in pieces:
        starts = set(np.flatnonzero(np.isin(ints(piece.rows.time(timeline)), wanted)).tolist())
        for begin, end in itertools.pairwise(sorted({0, *starts, piece.count})):
            rows = piece.rows.slice(begin, end - begin)
            part = piece if end - begin == piece.count else _Part(rows, rows.size, is_whole=False)
            if groups and begin not in starts:
                groups[-1].append(part)
            else:
                groups.append([part])
    sizes = [sum(part.size for part in group) for group in groups]
    if max(sizes) > _MOST_BYTES:
        return []
    return [
        group[0] if len(group) == 1 else _Part(_Rows(_joined(group)), size, is_whole=True)
        for group, size in zip(groups, sizes, strict=True)
    ]
