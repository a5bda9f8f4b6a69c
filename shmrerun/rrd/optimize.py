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


class _Part:
    """Rows that stay together when others are added to them: a chunk, or some rows of one."""

    __slots__ = ("batch", "ends", "first", "is_sorted", "is_whole", "last", "rows", "size", "starts")

    def __init__(self, batch: pa.RecordBatch, size: int, *, is_whole: bool) -> None:
        times = [ints(column) for _, column in _times(batch)]
        self.batch, self.size, self.rows, self.is_whole = batch, size, batch.num_rows, is_whole
        self.first, self.last = (batch.column(0)[at].as_py() for at in (0, -1))
        self.starts, self.ends = [int(column[0]) for column in times], [int(column[-1]) for column in times]
        self.is_sorted = all(bool((column[1:] >= column[:-1]).all()) for column in times)


def optimized(batches: Iterable[pa.RecordBatch], profile: OptimizationProfile) -> list[pa.RecordBatch]:
    """Return chunks with the same rows, as a profile wants them. ValueError: the profile says what cannot be.

    Static chunks are not merged or cut. Rows keep their ids; chunks that change get new ones. All chunks are in memory, and those that
    change twice.
    """
    limits, ratio = _limits(profile), profile.split_size_ratio
    whole = [tier for batch in batches if batch.num_rows for tier in _tiers(batch, ratio)]
    if not limits.size:
        return whole
    keys = _key_frames(whole) if profile.gop_batching else {}
    done: list[pa.RecordBatch] = []
    alike: dict[Any, list[_Kin]] = {}  # by entity and timelines
    for batch in whole:
        if not _times(batch):
            done.append(batch)
            continue
        fields = {batch.schema.field(at).name: batch.schema.field(at) for at in _columns(batch, b"data")}
        all_kin = alike.setdefault((_path(batch), tuple((name, column.type) for name, column in _times(batch))), [])
        if not any(kin.admit(batch, fields) for kin in all_kin):
            all_kin.append(_Kin(batch, fields))
    for kin in (kin for all_kin in alike.values() for kin in all_kin):
        parts = _gops(kin, keys) or sorted((part for batch in kin.batches for part in _cut(batch, limits)), key=lambda part: part.first)
        done += [_joined(run) for run in _runs(parts, limits)]
    return done


class _Kin:
    """Chunks of one entity and the same timelines that may be merged: each has a component of those before it, in the same type."""

    def __init__(self, batch: pa.RecordBatch, fields: dict[str, pa.Field]) -> None:
        self.batches, self.fields = [batch], fields

    def admit(self, batch: pa.RecordBatch, fields: dict[str, pa.Field]) -> bool:
        """Take a chunk in. False: it is none of these."""
        same = [self.fields[name].equals(field, check_metadata=True) for name, field in fields.items() if name in self.fields]
        if not same or not all(same):
            return False
        self.batches.append(batch)
        self.fields = self.fields | fields
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


def _columns(batch: pa.RecordBatch, kind: bytes) -> list[int]:
    """Numbers of the timelines (``index``) or components (``data``)."""
    found = ((field.metadata or {}).get(b"rerun:kind", b"data") for field in batch.schema)
    return [at for at, one in enumerate(found) if one == kind and at]


def _times(batch: pa.RecordBatch) -> list[tuple[str, pa.Array]]:
    """Timelines by name."""
    return sorted(((batch.schema.field(at).name, batch.column(at)) for at in _columns(batch, b"index")), key=lambda pair: pair[0])


def _path(batch: pa.RecordBatch) -> bytes:
    path: bytes = batch.schema.metadata[b"rerun:entity_path"]
    return path


def _bytes(batch: pa.RecordBatch) -> int:
    """Bytes of the rows; of unions, whose slices cannot be measured (pyarrow 26 crashes), those of all their memory."""
    size: int = batch.get_total_buffer_size() if any(_has_union(field.type) for field in batch.schema) else batch.nbytes
    return size


def _has_union(kind: pa.DataType) -> bool:
    return pa.types.is_union(kind) or any(_has_union(kind.field(at).type) for at in range(kind.num_fields))


# ---- columns apart


def _tiers(batch: pa.RecordBatch, ratio: float | None) -> list[pa.RecordBatch]:
    """The chunk, or several with some of its archetypes each: key frames by themselves, and large ones apart from small ones."""
    components = _columns(batch, b"data")
    names = [batch.schema.field(at).name for at in components]
    tiers = [[at] for at, name in zip(components, names, strict=True) if name == _KEY]
    groups: dict[Any, list[int]] = {}
    for at, name in zip(components, names, strict=True):
        if name != _KEY:
            groups.setdefault((batch.schema.field(at).metadata or {}).get(b"rerun:archetype", at), []).append(at)
    if ratio is None:
        tiers.append([at for group in groups.values() for at in group])
    else:
        sized = sorted(((_bytes(batch.select(group)), group) for group in groups.values()), key=lambda pair: -pair[0])
        before: float = 0
        for size, group in sized:
            if before and before / max(size, 1) < ratio:
                tiers[-1] += group
            else:
                tiers.append(list(group))
            before = max(size, 1)
    tiers = [tier for tier in tiers if tier]
    return [batch] if len(tiers) < 2 else [piece for tier in tiers if (piece := _with(batch, sorted(tier))).num_rows]


def _with(batch: pa.RecordBatch, components: list[int]) -> pa.RecordBatch:
    """A chunk of some components, and the rows that have any of them."""
    batch = batch.select([0, *_columns(batch, b"index"), *components])
    there = np.any([valid(batch.column(at)) for at in _columns(batch, b"data")], axis=0)
    return (
        _joined([_Part(batch if there.all() else batch.filter(pa.array(there)), 0, is_whole=False)]) if there.any() else batch.slice(0, 0)
    )


# ---- rows together, and apart


def _cut(batch: pa.RecordBatch, limits: _Limits) -> Iterator[_Part]:
    """The chunk, or its halves, or theirs, until they are within the limits or one row."""
    is_whole, size, rows = True, _bytes(batch), batch.num_rows
    is_known = not any(_has_union(field.type) for field in batch.schema)
    ahead = [batch]
    while ahead:
        batch = ahead.pop()
        part = _Part(batch, _bytes(batch) if is_known else size * batch.num_rows // rows, is_whole=is_whole)
        if part.rows == 1 or limits.fit(part.size, part.rows, is_sorted=part.is_sorted):
            yield part
            continue
        is_whole = False
        middle = part.rows // 2
        ahead += [batch.slice(middle), batch.slice(0, middle)]


def _runs(parts: Iterable[_Part], limits: _Limits) -> Iterator[list[_Part]]:
    """Parts that are to be one chunk: as many as fit, one after the other."""
    run: list[_Part] = []
    size = rows = 0
    is_sorted = True
    for part in parts:
        still = is_sorted and part.is_sorted and (not run or _follows(run[-1], part))
        if run and limits.fit(size + part.size, rows + part.rows, is_sorted=still):
            is_sorted = still
        else:
            if run:
                yield run
            run, size, rows, is_sorted = [], 0, 0, part.is_sorted
        run.append(part)
        size, rows = size + part.size, rows + part.rows
    if run:
        yield run


def _follows(before: _Part, part: _Part) -> bool:
    """Whether rows of both, one after the other, are in the order of row ids and all timelines."""
    return bool(part.first >= before.last) and all(start >= end for start, end in zip(part.starts, before.ends, strict=True))


def _joined(parts: list[_Part]) -> pa.RecordBatch:
    """One chunk of rows of several; a whole one by itself stays what it is."""
    first = parts[0].batch
    if len(parts) == 1 and parts[0].is_whole:
        return first
    fields = {part.batch.schema.field(at).name: part.batch.schema.field(at) for part in parts for at in _columns(part.batch, b"data")}
    times = zip(*(_times(part.batch) for part in parts), strict=True)
    return assemble(
        _path(first).decode(),
        [(same[0][0], pa.concat_arrays([column for _, column in same])) for same in times],
        [(descriptor_of(field), pa.concat_arrays([_component(part, field) for part in parts])) for field in fields.values()],
        row_ids=pa.concat_arrays([part.batch.column(0) for part in parts]),
    )


def _component(part: _Part, field: pa.Field) -> pa.Array:
    at = part.batch.schema.get_field_index(field.name)
    return pa.nulls(part.rows, field.type) if at < 0 else part.batch.column(at)


# ---- videos


def _key_frames(batches: list[pa.RecordBatch]) -> dict[Any, set[int]]:
    """Times of key frames, by entity and timeline, as logged beside the frames."""
    found: dict[Any, set[int]] = {}
    for batch in batches:
        at = batch.schema.get_field_index(_KEY)
        if at < 0:
            continue
        is_key = np.array([bool(row and row[0]) for row in batch.column(at).to_pylist()], np.bool_)
        for name, column in _times(batch):
            found.setdefault((_path(batch), name), set()).update(ints(column)[is_key].tolist())
    return found


def _gops(kin: _Kin, keys: dict[Any, set[int]]) -> list[_Part]:
    """Frames from each key frame to before the next one; none where key frames are unknown, or frames not in their order."""
    if _SAMPLE not in kin.fields:
        return []
    first = kin.batches[0]
    known = [(at, keys[_path(first), name]) for at, (name, _) in enumerate(_times(first)) if keys.get((_path(first), name))]
    if not known:
        return []
    whole = _joined([_Part(batch, 0, is_whole=False) for batch in kin.batches])
    if not _Part(whole, 0, is_whole=False).is_sorted:
        return []
    at, times = known[0]
    starts = np.flatnonzero(np.isin(ints(_times(whole)[at][1]), np.array(sorted(times), np.int64)))
    bounds = np.unique([0, *starts.tolist(), whole.num_rows]).tolist()
    slices = [whole.slice(first, last - first) for first, last in itertools.pairwise(bounds)]
    return [_Part(one, _bytes(one), is_whole=False) for one in slices]
