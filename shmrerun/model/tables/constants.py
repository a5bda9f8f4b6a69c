"""Constants of single components: media types, levels of log messages, directions of axes, layouts of images.

Source: rerun-sdk 0.41.0, as introspected.
"""

from __future__ import annotations

MEDIA_TYPES = {
    "TEXT": "text/plain", "MARKDOWN": "text/markdown", "JPEG": "image/jpeg", "PNG": "image/png",
    "GLB": "model/gltf-binary", "GLTF": "model/gltf+json", "OBJ": "model/obj", "PLY": "application/x-ply",
    "STL": "model/stl", "RVL": "application/rvl", "MP4": "video/mp4", "AAC": "audio/aac", "FLAC": "audio/flac",
    "M4A": "audio/mp4", "MP3": "audio/mpeg", "OGG": "audio/ogg", "WAV": "audio/wav",
}  # fmt: skip
MEDIA_EXTENSIONS = {  # of a file, in lower case and without the dot: key of MEDIA_TYPES
    "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "glb": "GLB", "gltf": "GLTF", "obj": "OBJ", "stl": "STL", "ply": "PLY",
    "mp4": "MP4", "aac": "AAC", "flac": "FLAC", "m4a": "M4A", "mp3": "MP3", "ogg": "OGG", "oga": "OGG", "wav": "WAV",
}  # fmt: skip

LOG_LEVELS = ("CRITICAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE")

IMAGE_DATATYPES = {  # NumPy dtype without byte order: ChannelDatatype
    "u1": 6, "i1": 7, "u2": 8, "i2": 9, "u4": 10, "i4": 11, "u8": 12, "i8": 13, "f2": 33, "f4": 34, "f8": 35,
}  # fmt: skip
IMAGE_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4, "BGR": 3, "BGRA": 4}  # of each ColorModel

VIEW_LETTERS = {"U": 1, "D": 2, "R": 3, "L": 4, "F": 5, "B": 6}  # ViewDir
VIEW_ORDERS = ("UD LR FB", "UD FB LR", "LR UD FB", "LR FB UD", "FB UD LR", "FB LR UD")  # both directions of each axis
VIEW_HANDED = {  # the left-handed system mirrors the last letter of the right-handed one
    "RIGHT_HAND_X_UP": "URF", "RIGHT_HAND_X_DOWN": "DRB", "RIGHT_HAND_Y_UP": "RUB", "RIGHT_HAND_Y_DOWN": "RDF",
    "RIGHT_HAND_Z_UP": "RFU", "RIGHT_HAND_Z_DOWN": "RBD", "LEFT_HAND_X_UP": "URB", "LEFT_HAND_X_DOWN": "DRF",
    "LEFT_HAND_Y_UP": "RUF", "LEFT_HAND_Y_DOWN": "RDB", "LEFT_HAND_Z_UP": "RBU", "LEFT_HAND_Z_DOWN": "RFD",
}  # fmt: skip
VIEW_CONSTANTS = {  # name: letters of the directions of x, y and z
    **{
        first + second + third: first + second + third
        for axes in map(str.split, VIEW_ORDERS)
        for first in axes[0]
        for second in axes[1]
        for third in axes[2]
    },
    **VIEW_HANDED,
}
