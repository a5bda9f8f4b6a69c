"""Archetypes of things in the plane and in space.

Source: rerun-sdk 0.41.0, as introspected.
"""

from __future__ import annotations

from shmrerun.model.tables.spec import ArchetypeSpec, Step

_CLASS_0 = (Step("first_class", "class_ids", "class_ids", given="keypoint_ids"),)

ARCHETYPES: dict[str, ArchetypeSpec] = {
    "Arrows2D": ArchetypeSpec(
        "Arrows in the plane: ``vectors`` from ``origins`` (default: zero).",
        """
            vectors Vector2D
            origins Position2D
            radii Radius
            colors Color
            labels Text
            show_labels ShowLabels
            draw_order DrawOrder
            class_ids ClassId
        """,
        required=1,
        keyword=True,
    ),
    "Arrows3D": ArchetypeSpec(
        "Arrows in space: ``vectors`` from ``origins`` (default: zero).",
        """
            vectors Vector3D
            origins Position3D
            radii Radius
            colors Color
            labels Text
            show_labels ShowLabels
            class_ids ClassId
        """,
        required=1,
        keyword=True,
    ),
    "Boxes2D": ArchetypeSpec(
        "Boxes in the plane: by half sizes and centers, sizes and mins, or an array of shape (n, 4) with its format.",
        """
            half_sizes HalfSize2D
            centers Position2D
            colors Color
            radii Radius
            labels Text
            show_labels ShowLabels
            draw_order DrawOrder
            class_ids ClassId
        """,
        parameters=("* sizes mins half_sizes centers array array_format radii colors labels show_labels draw_order class_ids"),
        prepare=(Step("boxes2d", "sizes mins half_sizes centers array array_format", "half_sizes centers", given="sizes mins array"),),
    ),
    "Boxes3D": ArchetypeSpec(
        "Boxes in space: by half sizes and centers, or by sizes and mins; with rotations.",
        """
            half_sizes HalfSize3D
            centers Translation3D
            rotation_axis_angles RotationAxisAngle
            quaternions RotationQuat
            colors Color
            radii Radius
            fill_mode FillMode
            labels Text
            show_labels ShowLabels
            class_ids ClassId
        """,
        parameters=(
            "* sizes mins half_sizes centers rotation_axis_angles quaternions rotations colors radii fill_mode labels show_labels class_ids"
        ),
        prepare=(
            Step("boxes3d", "sizes mins half_sizes centers", "half_sizes centers", given="sizes mins"),
            Step("rotations", "rotations quaternions rotation_axis_angles", "quaternions rotation_axis_angles", given="rotations"),
        ),
    ),
    "Capsules3D": ArchetypeSpec(
        "Cylinders with round caps: from the origin along z, then rotated and translated.",
        """
            lengths Length
            radii Radius
            translations Translation3D
            rotation_axis_angles RotationAxisAngle
            quaternions RotationQuat
            colors Color
            line_radii Radius
            fill_mode FillMode
            labels Text
            show_labels ShowLabels
            class_ids ClassId
        """,
    ),
    "Clear": ArchetypeSpec(
        "Empties all components of an entity, and of all below it if ``recursive``.",
        """
            is_recursive ClearIsRecursive
        """,
        parameters="* recursive!",
        renamed={"is_recursive": "recursive"},
        extras=("methods:flat", "methods:recursive"),
    ),
    "CoordinateFrame": ArchetypeSpec(
        "The name of the coordinate frame that an entity is in.",
        """
            frame TransformFrameId
        """,
        required=1,
    ),
    "Cylinders3D": ArchetypeSpec(
        "Cylinders along z, then rotated and moved to their centers.",
        """
            lengths Length
            radii Radius
            centers Translation3D
            rotation_axis_angles RotationAxisAngle
            quaternions RotationQuat
            colors Color
            line_radii Radius
            fill_mode FillMode
            labels Text
            show_labels ShowLabels
            class_ids ClassId
        """,
    ),
    "Ellipses2D": ArchetypeSpec(
        "Ellipses in the plane, along its axes.",
        """
            half_sizes HalfSize2D
            centers Position2D
            colors Color
            line_radii Radius
            labels Text
            show_labels ShowLabels
            draw_order DrawOrder
            class_ids ClassId
        """,
        parameters="* half_sizes centers line_radii colors labels show_labels draw_order class_ids",
    ),
    "Ellipsoids3D": ArchetypeSpec(
        "Ellipsoids or spheres: half sizes, or ``radii`` of spheres.",
        """
            half_sizes HalfSize3D
            centers Translation3D
            rotation_axis_angles RotationAxisAngle
            quaternions RotationQuat
            colors Color
            line_radii Radius
            fill_mode FillMode
            labels Text
            show_labels ShowLabels
            class_ids ClassId
        """,
        parameters=("* half_sizes radii centers rotation_axis_angles quaternions colors line_radii fill_mode labels show_labels class_ids"),
        prepare=(Step("spheres", "radii half_sizes", "half_sizes", given="radii"),),
    ),
    "GaussianSplats3D": ArchetypeSpec(
        "Gaussian splats: centers, scales, rotations, colours, coefficients of spherical harmonics.",
        """
            centers Position3D
            scales Scale3D
            quaternions RotationQuat
            colors Color
            sh_coefficients SphericalHarmonics3Rgb
            spherical_harmonics_degree SphericalHarmonicsDegree
        """,
        required=1,
    ),
    "GeoLineStrings": ArchetypeSpec(
        "Lines on the map: latitudes and longitudes in degrees, float64.",
        """
            line_strings GeoLineString
            radii Radius
            colors Color
        """,
        parameters="* lat_lon! radii colors",
        renamed={"line_strings": "lat_lon"},
    ),
    "GeoPoints": ArchetypeSpec(
        "Points on the map: latitudes and longitudes in degrees, shape (n, 2), float64.",
        """
            positions LatLon
            radii Radius
            colors Color
            class_ids ClassId
        """,
        parameters="* lat_lon! radii colors class_ids",
        renamed={"positions": "lat_lon"},
    ),
    "InstancePoses3D": ArchetypeSpec(
        "Poses of the instances of an entity; several poses make several instances.",
        """
            translations Translation3D
            rotation_axis_angles RotationAxisAngle
            quaternions RotationQuat
            scales Scale3D
            mat3x3 TransformMat3x3
        """,
    ),
    "LineStrips2D": ArchetypeSpec(
        "Strips of lines in the plane: one strip of shape (n, 2), or a sequence of strips; float32.",
        """
            strips LineStrip2D
            radii Radius
            colors Color
            labels Text
            show_labels ShowLabels
            draw_order DrawOrder
            class_ids ClassId
        """,
        required=1,
    ),
    "LineStrips3D": ArchetypeSpec(
        "Strips of lines in space: one strip of shape (n, 3), or a sequence of strips; float32.",
        """
            strips LineStrip3D
            radii Radius
            colors Color
            labels Text
            show_labels ShowLabels
            class_ids ClassId
        """,
        required=1,
    ),
    "Mesh3D": ArchetypeSpec(
        "Triangles in space; without ``triangle_indices`` each three vertices are one.",
        """
            vertex_positions Position3D
            triangle_indices TriangleIndices
            vertex_normals Vector3D
            vertex_colors Color
            vertex_texcoords Texcoord2D
            albedo_factor AlbedoFactor
            face_rendering MeshFaceRendering
            albedo_texture_buffer ImageBuffer
            albedo_texture_format ImageFormat
            class_ids ClassId
        """,
        parameters=(
            "* vertex_positions! triangle_indices vertex_normals vertex_colors vertex_texcoords albedo_texture "
            "albedo_factor face_rendering class_ids"
        ),
        prepare=(Step("texture", "albedo_texture", "albedo_texture_buffer albedo_texture_format", given="albedo_texture"),),
    ),
    "Pinhole": ArchetypeSpec(
        "A pinhole camera: a 3x3 projection, or focal length with resolution, or angle of view with aspect ratio.",
        """
            image_from_camera PinholeProjection
            resolution Resolution
            camera_xyz ViewCoordinates
            child_frame TransformFrameId
            parent_frame TransformFrameId
            image_plane_distance ImagePlaneDistance
            color Color
            line_width Radius
        """,
        parameters=(
            "* image_from_camera resolution camera_xyz width height focal_length principal_point fov_y aspect_ratio "
            "child_frame parent_frame image_plane_distance color line_width"
        ),
        prepare=(
            Step(
                "pinhole",
                "image_from_camera resolution width height focal_length principal_point fov_y aspect_ratio",
                "image_from_camera resolution",
            ),
        ),
    ),
    "Points2D": ArchetypeSpec(
        "Points in the plane; ``positions`` has shape (n, 2), float32.",
        """
            positions Position2D
            radii Radius
            colors Color
            labels Text
            show_labels ShowLabels
            draw_order DrawOrder
            class_ids ClassId
            keypoint_ids KeypointId
        """,
        required=1,
        prepare=_CLASS_0,
    ),
    "Points3D": ArchetypeSpec(
        "Points in space; ``positions`` has shape (n, 3), float32.",
        """
            positions Position3D
            radii Radius
            colors Color
            labels Text
            show_labels ShowLabels
            point_shading PointShading
            class_ids ClassId
            keypoint_ids KeypointId
        """,
        required=1,
        prepare=_CLASS_0,
    ),
    "Transform3D": ArchetypeSpec(
        "The transform between an entity and its parent, or between two named frames.",
        """
            translation Translation3D
            rotation_axis_angle RotationAxisAngle
            quaternion RotationQuat
            scale Scale3D
            mat3x3 TransformMat3x3
            relation TransformRelation
            child_frame TransformFrameId
            parent_frame TransformFrameId
        """,
        parameters=("* translation rotation rotation_axis_angle quaternion scale mat3x3 from_parent relation child_frame parent_frame"),
        prepare=(
            Step("rotation", "rotation quaternion rotation_axis_angle", "quaternion rotation_axis_angle", given="rotation"),
            Step("scale", "scale", "scale", given="scale"),
            Step("from_parent", "from_parent relation", "relation", given="from_parent"),
        ),
    ),
    "TransformAxes3D": ArchetypeSpec(
        "Axes that show the transform of an entity.",
        """
            axis_length AxisLength
            show_frame ShowLabels
        """,
        required=1,
    ),
    "ViewCoordinates": ArchetypeSpec(
        "What the axes mean: directions of x, y and z.",
        """
            xyz ViewCoordinates
        """,
        required=1,
        finish="methods:view_constants",
    ),
}
