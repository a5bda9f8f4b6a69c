"""Constructors with rules of their own: the same calls to rerun-sdk give the same columns, warnings and errors."""

from __future__ import annotations

import datetime as dt
import io
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_archetypes import Namespace, rows_of

from shmrerun import archetypes, components, encodings

CALLS = """
rr.Boxes2D()
rr.Boxes2D(sizes=[3,4])
rr.Boxes2D(mins=[1,2])
rr.Boxes2D(mins=[1,2], half_sizes=[3,4])
rr.Boxes2D(mins=[1,2], half_sizes=[3,4], centers=[1,1])
rr.Boxes2D(sizes=[1,2], half_sizes=[3,4])
rr.Boxes2D(mins=[[1,2],[3,4]], sizes=[3,4])
rr.Boxes2D(array=[1,2,3,4], array_format=F.XYWH, centers=[1,1])
rr.Boxes2D(array=[1,2,3,4], array_format=F.XYWH, sizes=[1,1])
rr.Boxes2D(array=[1,2,3,4], array_format=F.XYWH, mins=[1,1])
rr.Boxes2D(array=[], array_format=F.XYWH)
rr.Boxes2D(array=[[]], array_format=F.XYWH)
rr.Boxes2D(array=0, array_format=F.XYWH)
rr.Boxes2D(array=[0,0,0,0], array_format=F.XYWH)
rr.Boxes2D(array=[1,2,3], array_format=F.XYWH)
rr.Boxes2D(array=[[1,2,3,4]], array_format=F.YXYX)
rr.Boxes2D(array=[[1,2,3,4],[5,6,7,8]], array_format=F.XYXY)
rr.Boxes2D(array=[[1,2,3,4],[5,6,7,8]], array_format=F.XCYCWH)
rr.Boxes2D(array=[[1,2,3,4],[5,6,7,8]], array_format='XYWH')
rr.Boxes2D(array_format=F.XYWH)
rr.Boxes2D(sizes=[1,2,3])
rr.Boxes2D(mins='a', sizes=[1,2])
rr.Boxes3D()
rr.Boxes3D(sizes=[1,2,3], half_sizes=[1,2,3])
rr.Boxes3D(sizes=[1,2,3], mins=[0,0,0])
rr.Boxes3D(half_sizes=[1,2,3], mins=[0,0,0])
rr.Boxes3D(half_sizes=[1,2,3], mins=[0,0,0], centers=[1,1,1])
rr.Boxes3D(mins=[[1,1,1],[2,2,2]])
rr.Boxes3D(rotations=rr.encodings.RotationAxisAngle([1,0,0], degrees=90))
rr.Boxes3D(rotations=[rr.encodings.RotationAxisAngle([1,0,0], degrees=90)])
rr.Boxes3D(rotations=[0,0,0,1])
rr.Boxes3D(rotations=[[0,0,0,1]])
rr.Boxes3D(rotations=[])
rr.Boxes3D(rotations='a')
rr.Boxes3D(rotations=[0,0,0,1], quaternions=[0,0,0,1])
rr.Boxes3D(quaternions=[0,0,0,1,0,0,0,1])
rr.Boxes3D(quaternions=[0,0,1])
rr.Boxes3D(quaternions=[rr.encodings.Quaternion(xyzw=[0,0,0,1]),[0,0,0,1]])
rr.Boxes3D(quaternions=np.eye(4))
rr.Boxes3D(rotation_axis_angles=[([1,0,0],1)])
rr.Boxes3D(rotation_axis_angles=[])
rr.Boxes3D(rotation_axis_angles=5)
rr.Boxes3D(rotation_axis_angles=rr.encodings.RotationAxisAngle([1,0,0], rr.encodings.Angle(deg=90)))
rr.Boxes3D(rotation_axis_angles=rr.encodings.RotationAxisAngle([1,0,0], 1.5))
rr.Boxes3D(fill_mode=1)
rr.Boxes3D(fill_mode=[1,'solid'])
rr.Boxes3D(fill_mode=9)
rr.LineStrips3D([])
rr.LineStrips3D([[]])
rr.LineStrips3D([[],[[1,2,3]]])
rr.LineStrips3D(np.array([[1,2,3],[4,5,6]]))
rr.LineStrips3D([np.array([[1,2,3],[4,5,6]])])
rr.LineStrips3D([np.array([1,2,3,4,5,6])])
rr.LineStrips3D(((0,0,0),(1,1,1)))
rr.LineStrips3D([[(0,0,0),(1,1,1)]])
rr.LineStrips3D(np.array([0,0,0,1,1,1]))
rr.LineStrips3D([[[1,2],[3,4]]])
rr.LineStrips3D(np.zeros((2,2)))
rr.LineStrips3D(np.zeros((0,3)))
rr.LineStrips3D(np.zeros((0,2,3)))
rr.LineStrips3D(np.zeros((2,0,3)))
rr.LineStrips3D([rr.components.LineStrip3D([[1,2,3],[4,5,6]])])
rr.LineStrips3D(rr.components.LineStrip3D([[1,2,3],[4,5,6]]))
rr.LineStrips3D([[rr.components.Position3D([1,2,3]),[4,5,6]]])
rr.LineStrips3D([np.array([1,2,3]), np.array([4,5,6])])
rr.LineStrips3D([np.zeros((2,3)), np.zeros((2,2))])
rr.LineStrips3D([np.zeros((2,3)), np.zeros((4,3), np.float32)])
rr.LineStrips3D([[np.array([1,2,3]),np.array([1,2,3])]])
rr.LineStrips3D([[[0,0,0]],[[1,1,1],[2,2,2]]])
rr.LineStrips3D([[0,0,0,1,1,1]])
rr.LineStrips3D([[[0,0,0,1,1,1]]])
rr.LineStrips2D([0,0,1,1])
rr.LineStrips2D([[0,0],[1,1]])
rr.LineStrips2D('ab')
rr.GeoLineStrings(lat_lon=[[1,2],[3,4]])
rr.GeoLineStrings(lat_lon=[[[1,2],[3,4]],[[5,6]]])
rr.GeoLineStrings(lat_lon=np.zeros((2,3,2)))
rr.GeoLineStrings(lat_lon=[])
rr.GeoLineStrings(lat_lon=[[1,2,3]])
rr.GeoPoints(lat_lon=5)
rr.GeoPoints(lat_lon=[1,2,3])
rr.GeoPoints(lat_lon=np.zeros((2,2,2)))
rr.GeoPoints()
rr.Transform3D(translation=[[1,2,3]], scale=[1,2,3])
rr.Transform3D(scale=2.5)
rr.Transform3D(scale=np.float32(2.5))
rr.Transform3D(scale=rr.components.Scale3D(3))
rr.Transform3D(scale=rr.components.Scale3D([1,2,3]))
rr.Transform3D(scale=True)
rr.Transform3D(scale=[2])
rr.Transform3D(scale=(1,2,3))
rr.Transform3D(scale=np.array([1,2,3]))
rr.Transform3D(scale='a')
rr.Transform3D(mat3x3=np.arange(9).reshape(3,3))
rr.Transform3D(mat3x3=[[1,2,3],[4,5,6],[7,8,9]])
rr.Transform3D(mat3x3=[1,2,3])
rr.Transform3D(mat3x3=np.zeros((2,3,3)))
rr.Transform3D(mat3x3=np.arange(18).reshape(2,9))
rr.Transform3D(mat3x3=[])
rr.InstancePoses3D(mat3x3=[[[1,2,3],[4,5,6],[7,8,9]],[[1,2,3],[4,5,6],[7,8,9]]])
rr.InstancePoses3D(mat3x3=rr.components.TransformMat3x3([[1,2,3],[4,5,6],[7,8,9]]))
rr.InstancePoses3D(mat3x3=[rr.components.TransformMat3x3([[1,2,3],[4,5,6],[7,8,9]]),[[1,2,3],[4,5,6],[7,8,9]]])
rr.Transform3D(from_parent=True)
rr.Transform3D(from_parent=False)
rr.Transform3D(from_parent=True, relation=1)
rr.Transform3D(relation='childfromparent')
rr.Transform3D(rotation=rr.components.RotationQuat(xyzw=[0,0,0,1]))
rr.Transform3D(rotation=rr.components.RotationAxisAngle([0,0,1], radians=1.5))
rr.Transform3D(rotation=[rr.encodings.Quaternion(xyzw=[0,0,0,1])])
rr.Transform3D(rotation=5)
rr.Transform3D(quaternion=rr.encodings.Quaternion(xyzw=[1,2,3,4]))
rr.Transform3D(quaternion=[1,2,3])
rr.Transform3D(rotation_axis_angle=rr.encodings.RotationAxisAngle([0,0,1], radians=1.5))
rr.Transform3D(rotation_axis_angle=[1,2,3])
rr.Transform3D(translation='abc')
rr.Transform3D(translation=5)
rr.Transform3D(child_frame=5)
rr.Transform3D.from_fields(quaternion=[1,2,3,4], clear_unset=True)
rr.Clear(recursive=1)
rr.Clear(recursive=None)
rr.Clear(recursive=[True,False])
rr.Tensor()
rr.Tensor(np.zeros(2), dim_names=['a'])
rr.Tensor(5)
rr.Tensor(None, value_range=[1,2])
rr.Tensor(np.zeros(2), value_range=[1,2,3])
rr.Tensor(np.zeros(2), value_range=rr.components.ValueRange([1,2]))
rr.Tensor(rr.encodings.TensorData(array=np.zeros(2), dim_names=['b']))
rr.EncodedImage()
rr.EncodedImage(path='a', contents=b'')
rr.EncodedImage(path='/nonexistent.png')
rr.EncodedImage(contents=io.BytesIO(b'abc'), media_type='image/png')
rr.EncodedImage(contents=np.zeros(3,np.uint8), media_type=rr.components.MediaType.PNG, opacity=0.5)
rr.EncodedImage(contents='abc', media_type='image/png')
rr.EncodedImage(path=PNG)
rr.Asset3D(path='/x.obj')
rr.Asset3D(contents=b'xyz', albedo_factor=[1,2,3])
rr.Asset3D(path=PNG, media_type='a')
rr.AssetVideo(contents=b'xyz')
rr.AssetAudio()
rr.AnnotationContext([(1,'red',(255,0,0)), 7, rr.encodings.AnnotationInfo(3,'x',0xff)])
rr.AnnotationContext((1,'red',(255,0,0)))
rr.AnnotationContext([(1,)])
rr.AnnotationContext(1)
rr.AnnotationContext(rr.encodings.AnnotationInfo(3,'x',[1,2,3]))
rr.AnnotationContext([rr.encodings.ClassDescription(info=1), rr.encodings.ClassDescription(info=(2,'b'))])
rr.AnnotationContext([])
rr.AnnotationContext(['a'])
rr.AnnotationContext([rr.encodings.ClassDescriptionMapElem(5, rr.encodings.ClassDescription(info=1))])
rr.AnnotationContext([(1,None,[255,0,0]), (2,'a',None)])
rr.AnnotationContext({1:'a'})
rr.AnnotationContext(rr.components.AnnotationContext([(1,'a')]))
rr.encodings.ClassDescription(info=3, keypoint_annotations=[5,(1,'b',[1,2,3])], keypoint_connections=[[0,1],[1,2]])
rr.encodings.ClassDescription(info=3, keypoint_connections=[rr.encodings.KeypointPair(1,2)])
rr.encodings.ClassDescription()
rr.ViewCoordinates(['u','r','b'])
rr.ViewCoordinates([rr.encodings.ViewDir.Up, rr.encodings.ViewDir.Right, rr.encodings.ViewDir.Back])
rr.ViewCoordinates(['Up','right','Back'])
rr.ViewCoordinates([1,3])
rr.ViewCoordinates([1,3,9])
rr.ViewCoordinates(np.array([1,3,6]))
rr.ViewCoordinates(rr.components.ViewCoordinates.RDF)
rr.ViewCoordinates([rr.components.ViewCoordinates.RDF, rr.components.ViewCoordinates.RUB])
rr.ViewCoordinates([[1,3,6],[1,3,6]])
rr.ViewCoordinates.LEFT_HAND_Z_DOWN
rr.Pinhole(focal_length=500)
rr.Pinhole(focal_length=500, width=100, height=50)
rr.Pinhole(focal_length=500, width=100)
rr.Pinhole(focal_length=500, resolution=[100,50], width=3, height=5)
rr.Pinhole(focal_length=[500,600], resolution=[100,50], camera_xyz=rr.components.ViewCoordinates.RDF)
rr.Pinhole(image_from_camera=np.eye(3), focal_length=3)
rr.Pinhole(image_from_camera=np.eye(3), principal_point=[1,2])
rr.Pinhole(image_from_camera=np.eye(3), fov_y=1)
rr.Pinhole(image_from_camera=np.eye(3), width=10,height=20)
rr.Pinhole(image_from_camera=[[1,2,3],[4,5,6],[7,8,9]], resolution=[10,20])
rr.Pinhole(fov_y=1.0)
rr.Pinhole(fov_y=1.0, aspect_ratio=2, resolution=[10,20])
rr.Pinhole(fov_y=1.0, aspect_ratio=2, focal_length=10)
rr.Pinhole(fov_y=1.0, aspect_ratio=2, principal_point=[3,4])
rr.Pinhole(fov_y=1.0, width=10, height=20)
rr.Pinhole(focal_length=500, principal_point=5)
rr.Pinhole(focal_length=500, principal_point=[1,2,3])
rr.Pinhole(focal_length=[1])
rr.Pinhole(resolution=[4,3])
rr.Pinhole(resolution=[4,3,5], focal_length=3)
rr.Pinhole(resolution=5, focal_length=3)
rr.Pinhole(focal_length=3.0, width=4, height=3, principal_point=(1,2), image_plane_distance=2, color=[1,2,3], line_width=2)
rr.Pinhole(resolution=rr.components.Resolution([4,3]), focal_length=3)
rr.Pinhole(resolution=np.array([4,3]), focal_length=3)
rr.Ellipsoids3D()
rr.Ellipsoids3D(radii=[1,2])
rr.Ellipsoids3D(radii=1)
rr.Ellipsoids3D(radii=[1], half_sizes=[1,2,3])
rr.Ellipsoids3D(radii=np.array([[1],[2]]))
rr.Ellipsoids3D(radii=np.ones((2,2)))
rr.Ellipsoids3D(radii=[])
rr.Ellipsoids3D(radii='a')
rr.Mesh3D(vertex_positions=[[0,0,0]], albedo_texture=np.zeros((1,2),dtype=np.uint8))
rr.Mesh3D(vertex_positions=[[0,0,0]], albedo_texture=np.zeros((1,2,4),dtype=np.float32))
rr.Mesh3D(vertex_positions=[[0,0,0]], albedo_texture=np.zeros((1,2,1),dtype=np.uint8))
rr.Mesh3D(vertex_positions=[[0,0,0]], albedo_texture=np.zeros((1,2,3),dtype=bool))
rr.Mesh3D(vertex_positions=[[0,0,0]], albedo_texture=[[[1,2,3]]])
rr.Mesh3D(vertex_positions=[[0,0,0]], albedo_texture='a')
rr.Mesh3D(vertex_positions=[[0,0,0]], triangle_indices=[[0,1,-2]])
rr.Mesh3D(vertex_positions=[[0,0,0]], triangle_indices=[[0,1,2]], face_rendering='front')
rr.Mesh3D(vertex_positions=[[0,0,0]], triangle_indices=np.array([[0.5,1,2]]))
rr.VideoFrameReference(nanoseconds=3)
rr.VideoFrameReference(timestamp=rr.components.VideoTimestamp(seconds=1), seconds=3)
rr.VideoFrameReference(timestamp=rr.components.VideoTimestamp(nanoseconds=1), video_reference='a/b')
rr.VideoFrameReference(5)
rr.VideoFrameReference(np.int64(5))
rr.VideoFrameReference(np.float64(5.5))
rr.VideoFrameReference('a')
rr.VideoFrameReference(5, video_reference=['a','b'])
rr.VideoFrameReference([5,6])
rr.VideoFrameReference(np.array([5,6]))
rr.VideoFrameReference(5, video_reference=rr.components.EntityPath('a'), opacity=0.5, draw_order=3)
rr.VideoFrameReference(dt.timedelta(seconds=1))
rr.VideoFrameReference(np.timedelta64(1,'s'))
rr.VideoFrameReference(seconds=np.array(1.5))
rr.VideoStream(5)
rr.VideoStream('h264', sample=b'abc', is_keyframe=True)
rr.SeriesPoints()
rr.SeriesPoints(colors=[1,2,3])
rr.GraphEdges([('a','b'),('c','d')])
rr.GraphEdges(('a','b'))
rr.GraphEdges(rr.components.GraphEdge('a','b'))
rr.GraphEdges([(1,2)])
rr.GraphEdges([('a',)])
rr.GraphEdges([])
rr.GraphEdges(['ab','cd'])
rr.GraphEdges(np.array([['a','b'],['c','d']]))
rr.GraphEdges(5)
rr.components.KeyValuePairsBatch({'k':'v','a':'b'})
rr.components.KeyValuePairsBatch([('k','v')])
rr.components.KeyValuePairsBatch([{'k':'v'},{'a':'b'}])
rr.components.KeyValuePairsBatch([[('k','v')],[('k','v'),('x','y')]])
rr.components.KeyValuePairsBatch(rr.components.KeyValuePairs({'a':'b'}))
rr.components.KeyValuePairsBatch({})
rr.components.KeyValuePairsBatch([])
rr.components.KeyValuePairsBatch(5)
rr.McapChannel(id=1,topic='a',message_encoding='b',metadata={'a':5})
rr.DepthImage(np.zeros((2,2,3)))
rr.DepthImage(np.zeros((2,2),complex))
rr.DepthImage(np.zeros((2,2),bool))
rr.DepthImage([[1,2],[3,4]])
rr.DepthImage([[1.,2],[3,4]], depth_range=rr.components.ValueRange([0,1]))
rr.SegmentationImage(np.zeros((1,2,2,1),np.int64), draw_order=1)
rr.SegmentationImage(np.zeros(4))
rr.DepthImage(np.zeros((4,4),dtype=np.uint16),meter=3,colormap='viridis',depth_range=[0,1]).compress()
rr.DepthImage(np.zeros((4,4),dtype=np.float32)).compress()
rr.Image(np.zeros((4,4,4),dtype=np.uint8)).compress()
rr.Image(np.zeros((2,2,3),dtype=np.float32)).compress()
rr.Image(bytes=b'123456', width=2, height=2, pixel_format='NV12').compress()
rr.GridMap(data=np.zeros((2,2),np.uint8), format=rr.encodings.ImageFormat(2,1,color_model='L',channel_datatype='U8'), cell_size=0.05)
rr.VoxelGridMap([[0,0,0],[1,2,3]], 5)
rr.VoxelGridMap([[0.5,0,0],[1,2,3]], [1,1,1])
rr.VoxelGridMap([[2**40,0,0],[1,2,3]], [1,1,1])
rr.Volume3D(np.zeros((2,2,2)), value_range=[0,1])
rr.GaussianSplats3D([[0,0,0]], sh_coefficients=np.arange(45))
rr.GaussianSplats3D([[0,0,0]], sh_coefficients=np.zeros((2,15,3)))
rr.GaussianSplats3D([[0,0,0]], sh_coefficients=np.zeros(90))
rr.GaussianSplats3D([[0,0,0]], sh_coefficients=[])
rr.GaussianSplats3D([[0,0,0]], sh_coefficients=5)
rr.Points3D([rr.components.Position3D([1,2,3])], class_ids=[rr.components.ClassId(3)], labels=[rr.components.Text('a')])
rr.Points3D(rr.components.Position3D([1,2,3]), class_ids=rr.components.ClassId(3), colors=rr.components.Color([1,2,3]))
rr.Points3D([[0,0,0]], radii=[rr.components.Radius(1), rr.components.Radius.ui_points(2), 3], show_labels=rr.components.ShowLabels(True))
rr.components.RadiusBatch([rr.components.Radius(1), 3])
rr.components.Plane3DBatch([rr.components.Plane3D([0,0,1],2.0), rr.components.Plane3D.XY])
rr.components.Plane3DBatch([0,0,1,2])
rr.encodings.UuidBatch([b'0123456789abcdef'])
rr.encodings.AbsoluteTimeRangeBatch([rr.encodings.AbsoluteTimeRange(1,2)])
rr.encodings.TimeIntBatch([rr.encodings.TimeInt(seq=3)])
rr.encodings.Utf8Batch(['a'])
rr.encodings.ColorModelBatch('RGB')
rr.components.TensorDimensionIndexSelectionBatch([rr.components.TensorDimensionIndexSelection(1,2)])
rr.components.TensorWidthDimensionBatch([rr.components.TensorWidthDimension(1,invert=True)])
rr.components.EntityPathBatch(['a',rr.components.EntityPath('b')])
rr.components.VideoTimestampBatch([rr.components.VideoTimestamp(seconds=1),5])
rr.components.Range1DBatch([1,2])
rr.components.ImageFormatBatch(rr.components.ImageFormat(1,2,color_model='L',channel_datatype='U8'))
rr.components.SphericalHarmonics3RgbBatch(rr.components.SphericalHarmonics3Rgb(np.zeros(45)))
rr.encodings.TimeRangeBatch(rr.encodings.TimeRange(rr.encodings.TimeRangeBoundary.infinite(), rr.encodings.TimeRangeBoundary.absolute(seq=5)))
""".strip().splitlines()  # noqa: E501


@pytest.fixture(scope="module")
def oracle():
    """Return the real package."""
    return pytest.importorskip("rerun")


@pytest.fixture(scope="module")
def png(tmp_path_factory):
    """Return the path of a file whose name says PNG."""
    path = tmp_path_factory.mktemp("files") / "a.png"
    path.write_bytes(b"not really")
    return str(path)


def outcome(call, rr, png):
    """Batches, contexts of the warnings, type of the exception."""
    form = rr.Box2DFormat
    scope = {"rr": rr, "np": np, "pa": pa, "dt": dt, "io": io, "F": form, "PNG": png}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = eval(call, scope)
            if hasattr(made, "as_component_batches"):
                result = rows_of(made.as_component_batches())
            else:
                array = made.as_arrow_array()
                array.validate(full=True)
                result = str(array.type), array.to_pylist()
        except Exception as error:
            result = type(error).__name__
    return result, [str(item.message).partition("(")[0] for item in caught]


@pytest.mark.parametrize("call", CALLS)
def test_calls_equal_rerun(oracle, png, call):
    """The call gives what rerun-sdk gives: columns, types, values; warnings' contexts; the type of an error."""
    assert outcome(call, Namespace(), png) == outcome(call, oracle, png)


NUMBER = st.integers(-1000, 1000) | st.floats(-1000, 1000, width=32)


@st.composite
def strips(draw, size=3):
    """Lists of strips, each a list of points, a list of tuples, or an array of float32 or float64."""
    found = draw(st.lists(st.lists(st.lists(NUMBER, min_size=size, max_size=size), min_size=1, max_size=4), max_size=4))
    form = draw(st.sampled_from(["lists", "tuples", "f4", "f8", "f"]))
    if form == "lists":
        return found
    if form == "tuples":
        return tuple([tuple(point) for point in strip] for strip in found)
    return [np.array(strip, form, order="F" if draw(st.booleans()) else "C") for strip in found]


@given(value=strips())
@settings(deadline=None, max_examples=200)
def test_strips_equal_rerun(oracle, value):
    """Line strips in any of the usual forms are those of rerun-sdk."""
    ours = rows_of(archetypes.LineStrips3D(value).as_component_batches())
    assert ours == rows_of(oracle.LineStrips3D(value).as_component_batches())


@given(
    rows=st.lists(st.lists(NUMBER, min_size=3, max_size=3), max_size=5),
    form=st.sampled_from(["list", "tuples", "f4", "f8", "i4", "T", "reversed"]),
)
@settings(deadline=None, max_examples=200)
def test_vectors_equal_rerun(oracle, rows, form):
    """Vectors as lists, tuples and arrays of any layout are those of rerun-sdk."""
    value = rows
    if form == "tuples":
        value = tuple(map(tuple, rows))
    elif form != "list":
        value = np.array(rows, form if len(form) == 2 else "f4").reshape(-1, 3)
        value = {"T": np.asfortranarray(value), "reversed": value[::-1]}.get(form, value)
    ours = rows_of(archetypes.Points3D(value).as_component_batches())
    assert ours == rows_of(oracle.Points3D(value).as_component_batches())


@pytest.mark.parametrize(
    "call",
    [
        "rr.Transform3D.columns(quaternion=[[1,2,3,4],[1,2,3,4]], translation=np.zeros((4,3)))",
        "rr.Transform3D.columns(mat3x3=np.zeros((2,3,3)))",
        "rr.Transform3D.columns(scale=[[1,2,3]], relation=['ParentFromChild','ParentFromChild'])",
        "rr.Transform3D.columns(rotation_axis_angle=[rr.encodings.RotationAxisAngle([0,0,1], radians=1.5)]*2)",
        "rr.InstancePoses3D.columns(mat3x3=np.zeros((2,9)))",
        "rr.LineStrips3D.columns(strips=np.zeros((2,2,3)))",
        "rr.Clear.columns(is_recursive=[True,False])",
        "rr.Pinhole.columns(image_from_camera=np.zeros((2,3,3)), camera_xyz=[[1,2,3],[1,2,3]])",
        "rr.Pinhole.columns(camera_xyz=rr.components.ViewCoordinates.RDF)",
        "rr.Tensor.columns(value_range=[[1,2],[3,4]])",
        "rr.VideoStream.columns(sample=[b'a',b'bc'],codec=[rr.components.VideoCodec.H264]*2)",
        "rr.VideoFrameReference.columns_secs([1.5,2])",
        "rr.VideoFrameReference.columns_millis([1.5,2])",
        "rr.VideoFrameReference.columns_nanos(np.array([1,2]))",
    ],
)
def test_columns_equal_rerun(oracle, call):
    """Columns have the rows that rerun-sdk cuts the same arguments into."""
    ours, theirs = (rows_of(eval(call, {"rr": rr, "np": np})) for rr in (Namespace(), oracle))
    assert ours == theirs


class Torch:
    """What a torch tensor looks like from outside."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def numpy(self, force=False):
        assert force
        return self.values


class Interface:
    """An object with one way only to get at its array."""

    def __init__(self, values, name):
        self.values = values
        if name == "__dlpack__":
            self.__class__ = type(
                "Dlpack",
                (),
                {
                    "__dlpack__": lambda self, **options: values.__dlpack__(**options),
                    "__dlpack_device__": lambda self: values.__dlpack_device__(),
                },
            )
        else:
            self.__class__ = type("Array", (), {"__array__": lambda self, dtype=None, copy=None: values})


@pytest.mark.parametrize("form", ["torch", "__array__", "__dlpack__", "strided", "arrow", "big-endian"])
def test_arrays_of_all_kinds(form):
    """Points and images come from tensors, DLPack, Arrow and strided arrays as from plain ones."""
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    wanted = archetypes.Points3D(values)
    flat = pa.array(values.reshape(-1))
    given_ = {
        "torch": lambda: Torch(values),
        "__array__": lambda: Interface(values, "__array__"),
        "__dlpack__": lambda: Interface(values, "__dlpack__"),
        "strided": lambda: np.repeat(values, 2, axis=0)[::2],
        "arrow": lambda: pa.FixedSizeListArray.from_arrays(flat.cast(pa.float64()), 3),
        "big-endian": lambda: values.astype(">f4"),
    }[form]()
    assert archetypes.Points3D(given_) == wanted
    if form != "arrow":
        image = archetypes.Image(given_)
        assert image.buffer == archetypes.Image(values).buffer


def test_pil_images():
    """A PIL image is an array of its pixels, and an image gives one back."""
    pillow = pytest.importorskip("PIL.Image")
    values = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    made = archetypes.Image(pillow.fromarray(values))
    assert made == archetypes.Image(values)
    assert np.array_equal(np.asarray(archetypes.Image(values, "BGR").as_pil_image()), values[..., ::-1])


def test_compressed_images_keep_what_they_have():
    """A JPEG of a BGR image has its colours, and the image's other fields."""
    pillow = pytest.importorskip("PIL.Image")
    values = np.full((8, 8, 3), (200, 30, 10), np.uint8)
    made = archetypes.Image(values, "BGR", opacity=0.5).compress(jpeg_quality=95)
    assert made.opacity.as_arrow_array().to_pylist() == [0.5]
    raw = bytes(made.blob.as_arrow_array()[0].as_py())
    decoded = np.asarray(pillow.open(io.BytesIO(raw))).astype(int)
    assert np.abs(decoded - values[..., ::-1]).max() < 8


def test_matrices_in_a_list_are_not_turned_twice():
    """One matrix in a list is the matrix (rerun-sdk 0.41 turns it once more)."""
    one = components.TransformMat3x3([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    alone = archetypes.InstancePoses3D(mat3x3=one)
    assert archetypes.InstancePoses3D(mat3x3=[one]) == alone
    assert alone.mat3x3.as_arrow_array().to_pylist() == [[1, 4, 7, 2, 5, 8, 3, 6, 9]]


def test_values_are_not_copied():
    """float32 arrays of points, strips and tensors are passed on as they lie in memory."""
    values = np.zeros((4, 3), np.float32)
    for made in (archetypes.LineStrips3D([values]), archetypes.Points3D(values), archetypes.Tensor(values)):
        parts = [part for part in made._row()[1] if isinstance(part, memoryview)]
        assert any(np.shares_memory(np.frombuffer(part, np.uint8), values) for part in parts)


def test_every_value_class_is_like_rerun(oracle):
    """Every component and encoding of rerun-sdk exists, with its batch, its Arrow type and its name."""
    for ours, theirs in ((components, oracle.components), (encodings, oracle.encodings)):
        for name in (name for name in vars(theirs) if name.endswith("Batch")):
            plain = name.removesuffix("Batch")
            assert isinstance(getattr(ours, plain), type), plain
            assert getattr(ours, name)._own_column.arrow == str(getattr(theirs, name)._ARROW_DATATYPE), name
            empty = getattr(ours, name)([])
            empty.as_arrow_array().validate(full=True)
            if ours is components:
                assert empty.component_type() == f"rerun.components.{plain}"
