"""Files that are one value: texts, images, depth images, meshes. They are logged as they are; only texts are looked into.

Source: media types as rerun-sdk 0.41 records them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shmrerun.importers.task import ImportFailedError, extension
from shmrerun.model.archetype import archetype_class

if TYPE_CHECKING:
    from shmrerun.importers.task import Task

TEXTS = {"txt": "text/plain", "md": "text/markdown"}
IMAGES = {
    "avif": "image/avif", "bmp": "image/bmp", "dds": "image/vnd-ms.dds", "exr": "image/x-exr", "farbfeld": None,
    "ff": "application/octet-stream", "gif": "image/gif", "hdr": "image/vnd.radiance", "ico": "image/x-icon",
    "jpeg": "image/jpeg", "jpg": "image/jpeg", "pam": "image/x-portable-anymap", "pbm": "image/x-portable-anymap",
    "pgm": "image/x-portable-anymap", "png": "image/png", "ppm": "image/x-portable-anymap", "tga": "image/x-targa",
    "tif": "image/tiff", "tiff": "image/tiff", "webp": "image/webp",
}  # fmt: skip
DEPTH_IMAGES = {"rvl": "application/rvl"}
MESHES = {
    "dae": "model/vnd.collada+xml", "glb": "model/gltf-binary", "gltf": "model/gltf+json", "obj": "model/obj", "stl": "model/stl",
}  # fmt: skip


def text(task: Task) -> None:
    """Log a TextDocument. ImportFailedError: the file is not UTF-8."""
    raw = task.read()
    try:
        found = raw.decode()
    except UnicodeDecodeError as error:
        raise ImportFailedError(f"the text is not UTF-8: byte {raw[error.start]:#04x} at {error.start:,}: {task.path}") from None
    archetype: Any = archetype_class("TextDocument")
    task.log(task.entity_path, archetype(found, media_type=TEXTS[extension(task.path)]))


def image(task: Task) -> None:
    """Log an EncodedImage."""
    archetype: Any = archetype_class("EncodedImage")
    raw = task.read()
    kind = IMAGES[extension(task.path)]
    if kind is None:
        kind = _guess(raw)
    task.log(task.entity_path, archetype(contents=raw, media_type=kind) if kind else archetype.from_fields(blob=raw))


def depth_image(task: Task) -> None:
    """Log an EncodedDepthImage."""
    archetype: Any = archetype_class("EncodedDepthImage")
    task.log(task.entity_path, archetype(task.read(), media_type=DEPTH_IMAGES[extension(task.path)]))


def mesh(task: Task) -> None:
    """Log an Asset3D."""
    archetype: Any = archetype_class("Asset3D")
    task.log(task.entity_path, archetype(contents=task.read(), media_type=MESHES[extension(task.path)]))


def _guess(raw: bytes) -> str | None:
    """Media type by how a file begins."""
    for kind, magic in (("image/png", b"\x89PNG\r\n\x1a\n"), ("image/jpeg", b"\xff\xd8\xff")):
        if raw.startswith(magic):
            return kind
    return None
