"""Archetypes of images, videos, texts, plots, graphs and recordings.

Source: rerun-sdk 0.41.0, as introspected.
"""

from __future__ import annotations

from shmrerun.model.tables.spec import ArchetypeSpec, Step

ARCHETYPES: dict[str, ArchetypeSpec] = {
    "AnnotationContext": ArchetypeSpec(
        "Labels and colours of classes and keypoints, for the entity and all below it.",
        """
            context AnnotationContext
        """,
        required=1,
    ),
    "Asset3D": ArchetypeSpec(
        "A 3D model as the bytes of a file (glTF, GLB, OBJ, STL, ...), from ``path`` or ``contents``.",
        """
            blob Blob
            media_type MediaType
            albedo_factor AlbedoFactor
        """,
        parameters="* path contents media_type albedo_factor",
        prepare=(Step("contents", "path contents media_type", "blob media_type"),),
    ),
    "AssetAudio": ArchetypeSpec(
        "A sound as the bytes of a file, from ``path`` or ``contents``.",
        """
            blob Blob
            media_type MediaType
        """,
        parameters="* path contents media_type",
        prepare=(Step("contents", "path contents media_type", "blob media_type"),),
    ),
    "AssetVideo": ArchetypeSpec(
        "A video as the bytes of a file (MP4), from ``path`` or ``contents``.",
        """
            blob Blob
            media_type MediaType
        """,
        parameters="* path contents media_type",
        prepare=(Step("contents", "path contents media_type", "blob media_type"),),
        extras=("mp4:read_frame_timestamps_nanos",),
    ),
    "BarChart": ArchetypeSpec(
        "A bar chart: ``values`` is a 1-D tensor, one bar a value, at ``abscissa`` if given.",
        """
            values TensorData bar_values
            color Color
            abscissa TensorData
            widths Length
        """,
        required=1,
    ),
    "DepthImage": ArchetypeSpec(
        "Distances from the camera, shape (height, width); ``meter`` is the number of units in one metre.",
        """
            buffer ImageBuffer
            format ImageFormat
            meter DepthMeter
            colormap Colormap
            depth_range ValueRange
            point_fill_ratio FillRatio
            draw_order DrawOrder
            magnification_filter MagnificationFilter
        """,
        init="images:depth_image",
        extras=("images:image_format", "images:as_pil_image", "compress:compress_depth as compress"),
    ),
    "EncodedDepthImage": ArchetypeSpec(
        "A depth image as the bytes of a file, such as PNG.",
        """
            blob Blob
            media_type MediaType
            meter DepthMeter
            colormap Colormap
            depth_range ValueRange
            point_fill_ratio FillRatio
            draw_order DrawOrder
            magnification_filter MagnificationFilter
        """,
        required=1,
    ),
    "EncodedImage": ArchetypeSpec(
        "An image as the bytes of a file (JPEG, PNG, ...): from ``path``, or ``contents`` with ``media_type``.",
        """
            blob Blob
            media_type MediaType
            opacity Opacity
            draw_order DrawOrder
            magnification_filter MagnificationFilter
        """,
        parameters="* path contents media_type opacity draw_order magnification_filter",
        prepare=(Step("image_contents", "path contents media_type", "blob media_type"),),
    ),
    "GraphEdges": ArchetypeSpec(
        "Edges of a graph: pairs of node ids.",
        """
            edges GraphEdge
            graph_type GraphType
        """,
        required=1,
    ),
    "GraphNodes": ArchetypeSpec(
        "Nodes of a graph: ids, and positions where they are fixed.",
        """
            node_ids GraphNode
            positions Position2D
            colors Color
            labels Text
            show_labels ShowLabels
            radii Radius
        """,
        required=1,
    ),
    "GridMap": ArchetypeSpec(
        "A map of cells in the plane, as an image with the size of a cell in metres.",
        """
            data ImageBuffer
            format ImageFormat
            cell_size CellSize
            translation Translation3D
            rotation_axis_angle RotationAxisAngle
            quaternion RotationQuat
            opacity Opacity
            draw_order DrawOrder
            colormap Colormap
        """,
        required=3,
        keyword=True,
    ),
    "Image": ArchetypeSpec(
        "An image of uint8 to float64 channels, or in a pixel format of its own.",
        """
            buffer ImageBuffer
            format ImageFormat
            opacity Opacity
            draw_order DrawOrder
            magnification_filter MagnificationFilter
        """,
        init="images:image",
        extras=("images:image_format", "images:as_pil_image", "compress:compress_image as compress"),
    ),
    "McapChannel": ArchetypeSpec(
        "A channel of an MCAP file.",
        """
            id ChannelId
            topic Text
            message_encoding Text
            metadata KeyValuePairs
        """,
        required=3,
        keyword=True,
    ),
    "McapMessage": ArchetypeSpec(
        "The bytes of a message of an MCAP file.",
        """
            data Blob
        """,
        required=1,
    ),
    "McapSchema": ArchetypeSpec(
        "A schema of an MCAP file.",
        """
            id SchemaId
            name Text
            encoding Text
            data Blob
        """,
        required=4,
        keyword=True,
    ),
    "McapStatistics": ArchetypeSpec(
        "The statistics of an MCAP file.",
        """
            message_count Count
            schema_count Count
            channel_count Count
            attachment_count Count
            metadata_count Count
            chunk_count Count
            message_start_time Timestamp
            message_end_time Timestamp
            channel_message_counts ChannelMessageCounts
        """,
        required=8,
        keyword=True,
    ),
    "Measurements": ArchetypeSpec(
        "Measured values.",
        """
            values Scalar
            variances Variance
            units Unit
            colors Color
            widths StrokeWidth
            names Name
            visible_series Visible
            aggregation_policy AggregationPolicy
            interpolation_mode InterpolationMode
        """,
        required=1,
    ),
    "RecordingInfo": ArchetypeSpec(
        "Properties of a recording: start time (nanoseconds since 1970-01-01 UTC) and name.",
        """
            start_time Timestamp
            name Name
        """,
    ),
    "Scalars": ArchetypeSpec(
        "One or more float64 values at a time, plotted over time.",
        """
            scalars Scalar
        """,
        required=1,
    ),
    "SegmentationImage": ArchetypeSpec(
        "Class ids, shape (height, width).",
        """
            buffer ImageBuffer
            format ImageFormat
            opacity Opacity
            draw_order DrawOrder
        """,
        init="images:segmentation_image",
    ),
    "SeriesLines": ArchetypeSpec(
        "How the scalars of an entity are drawn as lines.",
        """
            colors Color
            widths StrokeWidth
            names Name
            visible_series Visible
            aggregation_policy AggregationPolicy
            interpolation_mode InterpolationMode
        """,
    ),
    "SeriesPoints": ArchetypeSpec(
        "How the scalars of an entity are drawn as points.",
        """
            colors Color
            markers MarkerShape
            names Name
            visible_series Visible
            marker_sizes MarkerSize
        """,
        prepare=(Step("default_marker", "colors markers names visible_series marker_sizes", "markers"),),
    ),
    "StateChange": ArchetypeSpec(
        "The state that an entity is in from now on.",
        """
            state Text
        """,
    ),
    "StateConfiguration": ArchetypeSpec(
        "How the states of an entity are shown.",
        """
            values Text
            labels Text
            colors Color
            visible Visible
        """,
    ),
    "Tensor": ArchetypeSpec(
        "An array of any dimensions, uint8 to float64, with names of the dimensions.",
        """
            data TensorData
            value_range ValueRange
        """,
        parameters="data? * dim_names value_range",
        prepare=(Step("tensor", "data dim_names", "data"),),
    ),
    "TextDocument": ArchetypeSpec(
        "A text, of media type ``text/plain`` unless told otherwise.",
        """
            text Text
            media_type MediaType
        """,
        required=1,
    ),
    "TextLog": ArchetypeSpec(
        "A log message with a level (any text) and a colour.",
        """
            text Text
            level TextLogLevel
            color Color
        """,
        required=1,
    ),
    "VideoFrameReference": ArchetypeSpec(
        "A frame of a video by its time: the entity's AssetVideo unless ``video_reference`` names another.",
        """
            timestamp VideoTimestamp
            video_reference EntityPath
            opacity Opacity
            draw_order DrawOrder
        """,
        parameters="timestamp? * seconds nanoseconds video_reference opacity draw_order",
        prepare=(Step("video_time", "timestamp seconds nanoseconds", "timestamp"),),
        extras=("methods:columns_secs", "methods:columns_millis", "methods:columns_nanos"),
    ),
    "VideoStream": ArchetypeSpec(
        "A stream of encoded video: one ``sample`` at a time.",
        """
            codec VideoCodec
            sample VideoSample
            is_keyframe IsKeyframe
            opacity Opacity
            draw_order DrawOrder
        """,
        required=1,
    ),
    "Volume3D": ArchetypeSpec(
        "Values on a regular grid in space.",
        """
            values TensorData
            voxel_size VoxelSize
            translation Translation3D
            quaternion RotationQuat
            value_range ValueRange
            gamma GammaCorrection
            colormap Colormap
            optical_density OpticalDensity
        """,
        required=1,
    ),
    "VoxelGridMap": ArchetypeSpec(
        "Voxels of a regular grid: their indices, and values or colours.",
        """
            voxel_indices VoxelIndex
            voxel_size VoxelSize
            values VoxelValue
            colors Color
            translation Translation3D
            rotation_axis_angle RotationAxisAngle
            quaternion RotationQuat
            opacity Opacity
            value_range ValueRange
            colormap Colormap
        """,
        required=2,
    ),
}
