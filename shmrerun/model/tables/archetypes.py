"""The archetypes as data: all entries by name."""

from __future__ import annotations

from shmrerun.model.tables import blueprint, data, spatial
from shmrerun.model.tables.spec import ArchetypeSpec, Field, Parameter, Step

__all__ = ["ALL", "ARCHETYPES", "BLUEPRINT", "VISUALIZERS", "ArchetypeSpec", "Field", "Parameter", "Step"]

ARCHETYPES: dict[str, ArchetypeSpec] = dict(sorted({**data.ARCHETYPES, **spatial.ARCHETYPES}.items()))
BLUEPRINT: dict[str, ArchetypeSpec] = blueprint.ARCHETYPES  # those that only blueprints have
ALL: dict[str, ArchetypeSpec] = {**ARCHETYPES, **BLUEPRINT}  # no name is of both

_VISUALIZABLE = """
    Arrows2D Arrows3D Asset3D AssetAudio BarChart Boxes2D Boxes3D Capsules3D Cylinders3D DepthImage Ellipses2D Ellipsoids3D
    EncodedDepthImage EncodedImage GaussianSplats3D GeoLineStrings GeoPoints GraphEdges GraphNodes Image LineStrips2D LineStrips3D
    Measurements Mesh3D Pinhole Points2D Points3D SegmentationImage SeriesLines SeriesPoints StateChange StateConfiguration Tensor
    TextDocument TextLog TransformAxes3D VideoFrameReference VideoStream Volume3D VoxelGridMap
"""
#: Archetypes that a view can draw: the name of what draws them.
VISUALIZERS = {
    **{name: name for name in _VISUALIZABLE.split()},
    "LineStrips2D": "Lines2D",
    "LineStrips3D": "Lines3D",
    "Measurements": "MeasurementsSeries",
    "Pinhole": "Cameras",
    "StateChange": "StateVisualizer",
    "StateConfiguration": "StateVisualizer",
}
