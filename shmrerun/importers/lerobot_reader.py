"""LeRobot datasets as streams of chunks: :class:`shmrerun.experimental.LeRobotReader`.

Source: names and behaviour of rerun-sdk 0.41; what importers make of each file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from shmrerun.importers import lerobot as datasets
from shmrerun.importers.as_chunks import ChunkTask, chunks_of
from shmrerun.importers.reader_arguments import there
from shmrerun.importers.task import Column, ImportFailedError
from shmrerun.model.entity_paths import canonical
from shmrerun.rrd.chunk_object import Chunk
from shmrerun.rrd.chunk_stream import LazyChunkStream

if TYPE_CHECKING:
    import os
    from pathlib import Path


class _Below:
    """A task whose entities are below its prefix."""

    def __init__(self, task: ChunkTask) -> None:
        self._task = task

    def send_columns(self, entity_path: str, indexes: Any, columns: Any) -> None:
        self._task.send_columns(self._task.prefix + canonical(entity_path), indexes, columns)

    def log(self, entity_path: str, archetype: Any) -> None:
        self._task.log(self._task.prefix + canonical(entity_path), archetype)


class LeRobotReader:
    """Chunks of a LeRobot dataset, an episode at a time.

    Parameters
    ----------
    path
        Of the directory with ``meta`` and ``data``.

    Raises
    ------
    FileNotFoundError
        There is no such directory.
    ValueError
        It is no dataset of version 2 or 3.

    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = there(path, "LeRobot dataset")
        try:
            self._dataset = datasets.open_dataset(str(self._path))
            self._episodes = dict(self._dataset.episodes())
        except (ImportFailedError, OSError, ValueError, KeyError) as error:
            raise ValueError(f"{error}") from None

    @property
    def path(self) -> Path:
        """Of the directory."""
        return self._path

    @property
    def version(self) -> Literal["v2", "v3"]:
        """Of the layout."""
        return "v3" if isinstance(self._dataset, datasets.Version3) else "v2"

    def episodes(self) -> list[int]:
        """Numbers of the episodes, in order."""
        return sorted(self._episodes)

    def metadata(self, *, entity_path_prefix: str | None = None) -> Chunk:
        """What the dataset says of itself, as one static chunk: the texts ``info`` and, where there are any, ``stats``."""
        import pyarrow as pa

        columns = []
        for name in ("info", "stats"):
            file = self._path / "meta" / f"{name}.json"
            if file.exists():
                columns.append(Column(name, pa.array([[file.read_text("utf-8")]], pa.list_(pa.string()))))
        return Chunk.from_columns(entity_path_prefix or "/__lerobot", [], columns)

    def stream(
        self, episode: int, *, entity_path_prefix: str | None = None, timeline: str | None = None, video_mode: str = "native"
    ) -> LazyChunkStream:
        """Chunks of an episode.

        Parameters
        ----------
        episode
            One of :meth:`episodes`.
        entity_path_prefix
            What is before all entities.
        timeline
            What its timeline is called. Without: ``frame_index``, or ``timestamp`` where frames have no numbers.
        video_mode
            ``"native"``, or ``"skip"`` for none.

        Raises
        ------
        ValueError
            There is no such episode, or an argument is of no use. While the stream is read: the dataset is damaged.

        """
        if episode not in self._episodes:
            raise ValueError(f"there is no episode {episode} among {len(self._episodes):,} of {self._path}")
        if video_mode not in ("native", "skip"):
            raise ValueError(f"video_mode is 'native' or 'skip', not {video_mode!r}")
        if timeline == "":
            raise ValueError("a timeline has a name, not an empty text")
        dataset = self._dataset

        def load(task: ChunkTask) -> None:
            try:
                datasets.log_episode(
                    task,
                    dataset,
                    _Below(task),
                    episode,
                    self._episodes[episode],
                    has_videos=video_mode == "native",
                    timeline=timeline,
                )
            except (KeyError, TypeError, RuntimeError) as error:
                raise ImportFailedError(f"cannot read episode {episode}: {type(error).__name__} {error}: {self._path}") from None

        return LazyChunkStream(lambda: chunks_of(str(self._path), entity_path_prefix, load))

    def __repr__(self) -> str:
        return f"LeRobotReader({self._path})"
