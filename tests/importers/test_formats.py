"""Files that are one value are recorded as rerun-sdk 0.41 records them."""

import io

import numpy as np
import pytest
from helpers import read_rows, run
from helpers_importers import compare, log

pytest.importorskip("rerun")
EXTENSIONS = "avif bmp dds exr farbfeld ff gif hdr ico jpeg jpg pam pbm pgm png ppm tga tif tiff webp rvl PNG Jpg "
EXTENSIONS += "obj glb gltf stl dae STL txt md TXT"
VERTICES = "element vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
ROWS = "0 0 1\n1 0 2\n0 1 3\n"
FACES = "element face 1\nproperty list uchar int vertex_indices\n"
TEXT_PLY = {
    "plain": (VERTICES, ROWS),
    "faces": (VERTICES + FACES, ROWS + "3 0 1 2\n"),
    "facesfirst": (FACES + VERTICES, "3 0 1 2\n" + ROWS),
    "nofaces": (VERTICES + FACES.replace("1\n", "0\n", 1), ROWS),
    "cutfaces": (VERTICES + FACES.replace("1\n", "2\n", 1), ROWS + "3 0 1 2\n"),
    "oddfaces": (VERTICES + FACES.replace("vertex_indices", "foo"), ROWS + "3 0 1 2\n"),
    "edgefirst": ("element edge 1\nproperty int vertex1\nproperty int vertex2\n" + VERTICES, "0 1\n" + ROWS),
    "flat": ("element vertex 2\nproperty double x\nproperty short y\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n",
             "0.5 1 255 0 1\n2 3 1 2 3\n"),
    "colors": (VERTICES + "property short red\nproperty int green\nproperty ushort blue\nproperty char alpha\n",
               "0 0 1 300 -5 65535 -1\n1 0 2 255 256 257 127\n0 1 3 1 2 3 0\n"),
    "floats": (VERTICES + "property float red\nproperty double green\nproperty float blue\nproperty float alpha\n",
               "0 0 1 0.5 2 -1 0.25\n1 0 2 0.3 0.2 0.999 1\n0 1 3 0.001 0.002 0.003 0\n"),
    "twochannels": (VERTICES + "property uchar red\nproperty uchar green\n", "0 0 1 5 6\n1 0 2 5 6\n0 1 3 5 6\n"),
    "radius": (VERTICES + "property int radius\n", "0 0 1 4\n1 0 2 5\n0 1 3 6\n"),
    "labels": (VERTICES + "property list uchar uchar label\n", "0 0 1 1 65\n1 0 2 0\n0 1 3 2 66 67\n"),
    "nolabels": (VERTICES + "property list uchar int label\n", "0 0 1 1 65\n1 0 2 0\n0 1 3 2 66 67\n"),
    "bytes": (VERTICES.replace("float x", "char x").replace("float y", "uchar y"), ROWS),
    "wide": (VERTICES, ROWS.replace("\n", " 7 8\n")),
}  # fmt: skip


def test_every_extension(tmp_path):
    """Each extension gives Rerun's archetype, blob, media type, entity path and static row; a directory gives all that is below it."""
    deep = tmp_path / "files" / "deep er" / "x.y"
    deep.mkdir(parents=True)
    for number, extension in enumerate(EXTENSIONS.split()):
        (deep / f"f{number}.{extension}").write_bytes(b"content " + extension.encode())
    (deep / "empty.txt").touch()
    (deep / "empty.png").touch()
    (deep / "png.farbfeld").write_bytes(b"\x89PNG\r\n\x1a\n rest")
    others = tmp_path / "others"
    others.mkdir()
    for name in ("a.avif", "b.BMP", "c.d.txt"):
        (others / name).write_bytes(b"content")
    compare(tmp_path, "files", "others/a.avif", "files/../others/./b.BMP", str(others / "c.d.txt"))


def test_ply_texts(tmp_path):
    """PLY files as texts: points in two and three dimensions, colours of every type, radii, labels, meshes, other elements."""
    (tmp_path / "ply").mkdir()
    for name, (header, rows) in TEXT_PLY.items():
        (tmp_path / "ply" / f"{name}.ply").write_text(f"ply\nformat ascii 1.0\ncomment c\n{header}end_header\n{rows}")
    (tmp_path / "ply" / "crlf.ply").write_bytes((tmp_path / "ply" / "flat.ply").read_bytes().replace(b"\n", b"\r\n"))
    compare(tmp_path, "ply")


@pytest.mark.parametrize("order", ["<", ">"])
def test_ply_binaries(tmp_path, order):
    """PLY files of both byte orders: points, labels in lists, and splats with harmonics of each degree."""
    (tmp_path / "ply").mkdir()
    rng = np.random.default_rng(1)
    splat = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity rot_0 rot_1 rot_2 rot_3 scale_0 scale_1 scale_2"
    for name, names in {
        "points": "x y z radius",
        "splat0": splat,
        **{f"splat{d}": " ".join([splat, *(f"f_rest_{i}" for i in range(n))]) for d, n in ((1, 9), (3, 45), (4, 72))},
    }.items():
        table = np.zeros(50, [(word, f"{order}f4") for word in names.split()])
        for word in table.dtype.names:
            table[word] = 0 if word.startswith("scale") else rng.normal(size=50)
        write_ply(tmp_path / "ply" / f"{name}.ply", order, table)
    compare(tmp_path, "ply")


def write_ply(path, order, table):
    header = [f"ply\nformat binary_{'little' if order == '<' else 'big'}_endian 1.0\nelement vertex {len(table)}"]
    header += [f"property float {name}" for name in table.dtype.names]
    path.write_bytes("\n".join([*header, "end_header\n"]).encode() + table.tobytes())


def test_damaged_ply(tmp_path):
    """A PLY file that is cut off, empty, or lies about its rows or its type gets an error that says so, and its neighbours are logged."""
    (tmp_path / "ply").mkdir()
    files = {
        "cut": f"ply\nformat ascii 1.0\n{VERTICES}end_header\n0 0 1\n",
        "many": f"ply\nformat binary_little_endian 1.0\n{VERTICES.replace('3', '999999999999')}end_header\n0",
        "lists": "ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty list uint float x\nproperty float y\nend_header\n"
        "\xff\xff\xff\x7f",
        "other": "hello",
        "empty": "",
        "noformat": f"ply\n{VERTICES}end_header\n{ROWS}",
        "noend": "ply\nformat ascii 1.0\n",
        "noaxes": "ply\nformat ascii 1.0\nelement vertex 1\nproperty float a\nend_header\n1\n",
        "words": f"ply\nformat ascii 1.0\n{VERTICES}end_header\n{ROWS.replace('2', 'two')}",
    }
    for name, text in files.items():
        (tmp_path / "ply" / f"{name}.ply").write_text(text, encoding="latin-1")
    (tmp_path / "ply" / "good.ply").write_text(f"ply\nformat ascii 1.0\n{VERTICES}end_header\n{ROWS}")
    ended = log("shmrerun", "ours.rrd", ["ply"], tmp_path)
    told = ended.stderr.splitlines()
    assert len(told) == len(files), ended.stderr
    assert all(any(line.endswith(f"ply/{name}.ply") for line in told) for name in files)
    assert [entity for entity in read_rows(tmp_path / "ours.rrd") if "ply" in entity] == ["/pre/ply/good.ply"]


def video(path, codec, **options):
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 6, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_videos(tmp_path):
    """MP4 files, also fragmented, of unknown codecs and cut off: the blob, and a reference for each frame that can be found."""
    (tmp_path / "video").mkdir()
    video(tmp_path / "video" / "plain.mp4", "libx264")
    video(tmp_path / "video" / "fragments.mp4", "libx264", movflags="frag_keyframe+empty_moov")
    video(tmp_path / "video" / "old.mp4", "mpeg4")
    whole = (tmp_path / "video" / "plain.mp4").read_bytes()
    (tmp_path / "video" / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "video" / "empty.mp4").touch()
    (tmp_path / "video" / "lie.mp4").write_text("this is no video at all")
    ended = compare(tmp_path, "video")
    assert ended.stderr.count("is logged without its frames") == 4


def test_contents(tmp_path):
    """Contents are logged under the name that they are given, without any file; of external importers none is asked."""
    run(
        """
        import pytest, shmrerun as rr, warnings
        rr.init("app", strict=True)
        rr.save("out.rrd")
        rr.log_file_from_contents("no/such/a.png", b"png", entity_path_prefix="pre")
        rr.log_file_from_contents("b.md", b"# text")
        with pytest.raises(RuntimeError, match='No importer support for "x.unknown"'):
            rr.log_file_from_contents("x.unknown", b"")
        for wrong in ("text", bytearray(b"x"), None):
            with pytest.raises(TypeError, match="file_contents must be bytes"):
                rr.log_file_from_contents("b.md", wrong)
        with pytest.raises(TypeError):
            rr.log_file_from_path(3)
        with pytest.raises(TypeError, match="entity_path_prefix"):
            rr.log_file_from_path("x", entity_path_prefix=3)
        with pytest.raises(RuntimeError, match='path does not exist: "no such.txt"'):
            rr.log_file_from_path("no such.txt")
        with pytest.raises(RuntimeError, match="not UTF-8: byte 0xff at 2"):
            rr.log_file_from_contents("x.txt", b"ab\\xff")
        rr.set_strict_mode(False)
        with pytest.warns(rr.error_utils.RerunWarning, match="log_file_from_path: RuntimeError.path does not exist"):
            rr.log_file_from_path("no such.txt")
        """,
        tmp_path,
    )
    rows = read_rows(tmp_path / "out.rrd")
    assert rows["/pre/no/such/a.png"][0]["EncodedImage:blob"] == [b"png"]
    assert rows["/b.md"][0]["TextDocument:media_type"] == ["text/markdown"]


def test_nowhere(tmp_path):
    """Without a recording, or with a disabled one, nothing is read and nothing is said."""
    (tmp_path / "a.txt").write_text("x")
    run(
        """
        import shmrerun as rr
        rr.log_file_from_path("a.txt")
        rr.log_file_from_path("not there")
        rr.init("app", default_enabled=False)
        rr.log_file_from_path("a.txt")
        """,
        tmp_path,
    )


def test_pictures_of_others(tmp_path):
    """A real picture comes back from the recording as it was."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(12 * 9 * 3, dtype=np.uint8).reshape(12, 9, 3)
    image.fromarray(pixels).save(tmp_path / "p.png")
    log("shmrerun", "ours.rrd", ["p.png"], tmp_path)
    blob = read_rows(tmp_path / "ours.rrd")["/pre/p.png"][0]["EncodedImage:blob"][0]
    assert np.array_equal(np.asarray(image.open(io.BytesIO(blob))), pixels)
