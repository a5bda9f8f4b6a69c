"""Logs every archetype in every form, with rerun or with shmrerun: ``python round_trip_program.py MODULE FILE``.

The cases are generated from the table of fields; each is an entity ``/<archetype>/<case>``.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pyarrow as pa

from shmrerun.model.arrow_types import parse_type
from shmrerun.model.tables.archetypes import ARCHETYPES
from shmrerun.model.tables.components import ARROW, ENUMS

BLOBS = [b"ab", b"", b"cde"]
POINTS = np.arange(6, dtype=np.float32)


def samples(m, converter):
    """Values of a field, given as users give them: three, or one where there is no more than one."""
    if converter.startswith("enum:"):
        members = getattr(m.components, converter.removeprefix("enum:"))
        names = list(ENUMS[converter.removeprefix("enum:")])
        return [getattr(members, names[0]), names[-1].lower(), getattr(members, names[1])]
    encodings = m.encodings
    made = {
        "axis_angle": lambda: [
            encodings.RotationAxisAngle([1, 0, 0], angle=0.5),
            encodings.RotationAxisAngle([0, 1, 0], degrees=90),
            encodings.RotationAxisAngle([0, 0, 2], encodings.Angle(rad=-1)),
        ],
        "annotations": lambda: [
            encodings.ClassDescription(info=(1, "car", (255, 0, 0)), keypoint_annotations=[(0, "front"), 1], keypoint_connections=[(0, 1)]),
            (2, "person"),
        ],
        "bar_values": lambda: [np.arange(4.0)],
        "blob": lambda: BLOBS,
        "bool": lambda: [True, False, True],
        "channel_counts": lambda: pa.array([[(1, 2)], [], [(3, 4), (5, 6)]], pa.list_(parse_type(ARROW["channel_count"]))).cast(
            parse_type(ARROW["channel_counts"])
        ),
        "color": lambda: [[255, 0, 0, 255], [0, 255, 0, 128], [1, 2, 3, 4]],
        "dvec2": lambda: [[59.3, 18.1], [-1.5, 0.1], [0, 0]],
        "geo_strips": lambda: [[[59.3, 18.1], [1, 2]], [[3, 4], [5, 6], [7, 8]], [[0, 0], [0, 1]]],
        "harmonics": lambda: np.arange(3 * 45, dtype=np.float16).reshape(3, 15, 3),
        "image_format": lambda: [
            encodings.ImageFormat(4, 3, color_model="RGB", channel_datatype="U8"),
            encodings.ImageFormat(4, 2, pixel_format="NV12"),
            encodings.ImageFormat(1, 1, color_model=encodings.ColorModel.L, channel_datatype=encodings.ChannelDatatype.F32),
        ],
        "ivec3": lambda: [[1, -2, 3], [4, 5, -6], [0, 0, 0]],
        "key_values": lambda: [{"a": "b"}, {"c": "d", "e": ""}, {}],
        "mat3": lambda: [[[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.eye(3), np.arange(9.0).reshape(3, 3)],
        "pair": lambda: [("a", "b"), ("", "c"), ("ä", "ß")],
        "quaternion": lambda: [
            encodings.Quaternion(xyzw=[0, 0, 0, 1]),
            encodings.Quaternion(xyzw=POINTS[:4]),
            encodings.Quaternion.identity(),
        ],
        "range64": lambda: [[0, 1], [-1.5, 2.25], [3, 3]],
        "strips2": lambda: [POINTS.reshape(3, 2), POINTS[:2].reshape(1, 2), [[1, 2], [3, 4]]],
        "strips3": lambda: [POINTS.reshape(2, 3), POINTS[:3].reshape(1, 3), [[1, 2, 3], [4, 5, 6]]],
        "tensor": lambda: [np.arange(24, dtype=np.int16).reshape(2, 3, 4)],
        "text": lambda: ["a", "", "grüße\n/x"],
        "time": lambda: [1, -(2**62), np.datetime64("2024-01-02T03:04:05.678901234")],
        "uint16": lambda: [0, 65535, 7],
        "uint32": lambda: [0, 2**32 - 1, 7],
        "uint64": lambda: [0, 2**63 - 1, 7],
        "uvec3": lambda: [[0, 1, 2], [3, 4, 5], [2**32 - 1, 0, 0]],
        "vec2": lambda: POINTS.reshape(3, 2),
        "vec3": lambda: [[0.1, -2, 3], [4, 5e10, 6], [7, 8, 9]],
        "video_time": lambda: [m.components.VideoTimestamp(seconds=1.5), m.components.VideoTimestamp(nanoseconds=7), 9],
        "view": lambda: [m.components.ViewCoordinates.RDF],
        "float32": lambda: [0.1, -1.0, float("inf")],
        "float64": lambda: [0.1, -(2.0**60), 3],
    }
    return made[converter]()


SINGLE = ("annotations", "bar_values", "tensor", "view")  # rerun-sdk 0.41 takes one instance of these


WHOLE = ("sh_coefficients",)  # rerun-sdk 0.41 cuts its columns into 45 rows a value, which is past their end


def few(values, count):
    """The first values; arrays stay arrays."""
    return values[:count]


def fields_of(m, name):
    """Values of all fields of an archetype."""
    return {field.name: samples(m, "bar_values" if field.name == "abscissa" else field.converter) for field in ARCHETYPES[name].fields}


def arrow(cls, values):
    """The same values as Arrow arrays."""
    found = cls.from_fields(**values).as_component_batches()
    return {batch.component_descriptor().component.partition(":")[2]: batch.as_arrow_array() for batch in found}


def rows(m, name):
    """Case, and what makes the archetype, of each row to log."""
    cls = getattr(m.archetypes, name)
    values = fields_of(m, name)
    yield "one", lambda: cls.from_fields(**{field: few(value, 1) for field, value in values.items()})
    yield "many", lambda: cls.from_fields(**values)
    yield "none", lambda: cls.from_fields(**{field: few(value, 0) for field, value in values.items()})
    yield "cleared", cls.cleared
    yield "all_cleared", lambda: cls.from_fields(clear_unset=True)
    yield "arrow", lambda: cls.from_fields(**arrow(cls, values))
    for field, value in values.items():
        yield f"only_{field}", lambda field=field, value=value: cls.from_fields(**{field: value})
        yield f"clearing_but_{field}", lambda field=field, value=value: cls.from_fields(clear_unset=True, **{field: few(value, 1)})


def columns(m, name):
    """Case, and what makes the columns, of each ``send_columns`` call."""
    cls = getattr(m.archetypes, name)
    values = fields_of(m, name)
    several = {field.name: values[field.name] for field in ARCHETYPES[name].fields if field.converter not in SINGLE}
    if several:
        yield "partition", lambda: cls.columns(**several).partition([1, 0, 2])
        yield "arrow_columns", lambda: cls.columns(**arrow(cls, several))
    for field, value in values.items():
        if field not in WHOLE:
            yield f"columns_{field}", lambda field=field, value=value: cls.columns(**{field: value})
        yield f"empty_columns_{field}", lambda field=field, value=value: cls.columns(**{field: few(value, 1)}).partition([])


def main(module, path):
    """Log all cases to one file; print those that fail."""
    m = importlib.import_module(module)
    for name in ("archetypes", "components", "encodings"):
        importlib.import_module(f"{module}.{name}")
    m.set_strict_mode(True)
    stream = m.RecordingStream("round_trip", recording_id="round_trip")
    stream.save(path)
    stream.set_log_tick_enabled(False)
    for name in ARCHETYPES:
        for number, (case, make) in enumerate(rows(m, name)):
            stream.set_time("case", sequence=number)
            try:
                stream.log(f"{name}/{case}", make(), static=case == "one")
            except Exception as error:
                print(f"{name}/{case}", type(error).__name__)
        for case, make in columns(m, name):
            try:
                made = make()
                count = len(next(iter(made)).as_arrow_array())
                times = m.TimeColumn("case", sequence=range(count)), m.TimeColumn("time", timestamp=np.arange(count) * 0.5)
                stream.send_columns(f"{name}/{case}", times, made)
            except Exception as error:
                print(f"{name}/{case}", type(error).__name__)
    stream.flush()
    stream.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
