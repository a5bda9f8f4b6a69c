"""HDF5 files as chunks: what rerun-sdk 0.41's reader makes of files that h5py wrote."""

import gc
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import rerun.chunk as theirs_chunk
import rerun.experimental as theirs
from test_readers import chunks

import shmrerun.chunk
import shmrerun.experimental as ours
from shmrerun.errors import RerunWarning

h5py = pytest.importorskip("h5py")

KINDS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", ">i4", ">f8", "f2", "?", "c8")
ROWS = 5


def name_of(kind):
    return kind.replace(">", "be").replace("?", "bool")


def write(path):
    """A file with all kinds of values that both readers take, and some that they leave out."""
    with h5py.File(path, "w") as file:
        group = file.create_group("g")
        for kind in KINDS:
            group[name_of(kind)] = np.arange(ROWS).astype(kind)
        group["u8"][0] = 2**64 - 1
        group["f8"][0] = np.nan
        texts = ["a", "bé", "", "x", "y"]
        group["text"] = np.array(texts, h5py.string_dtype())
        group["ascii"] = np.array([b"a", b"b", b"", b"x", b"y"], h5py.string_dtype("ascii"))
        group["fixed"] = np.array([b"a", b"bb", b"", b"x\0y", b"y "], "S3")
        group["fixed_utf8"] = np.array([one.encode() for one in texts], h5py.string_dtype("utf-8", 4))
        group["two"] = np.arange(ROWS * 3).reshape(ROWS, 3)
        group["three"] = np.arange(ROWS * 6, dtype="u1").reshape(ROWS, 2, 3)
        group["nothing_in_three"] = np.zeros((ROWS, 0, 2))
        group["texts_two"] = np.array([["a", "b"]] * ROWS, h5py.string_dtype())
        group["texts_three"] = np.array([[["a", "b"]]] * ROWS, h5py.string_dtype())
        group.create_dataset(
            "gzip", data=np.arange(ROWS * 4).reshape(ROWS, 4), chunks=(2, 2), compression="gzip", shuffle=True, fletcher32=True
        )
        group.create_dataset("lzf", data=np.arange(ROWS), chunks=(2,), compression="lzf")
        group.create_dataset("filled", shape=(ROWS,), dtype="i4", fillvalue=7)
        group.create_dataset("growing", shape=(ROWS,), maxshape=(None,), dtype="f4", chunks=(3,))
        group.create_dataset("offset", data=np.arange(ROWS), chunks=(2,), scaleoffset=0)
        group["record"] = np.zeros(ROWS, [("a", "i4"), ("b", "f4")])
        group["enum"] = np.zeros(ROWS, h5py.enum_dtype({"A": 0, "B": 1}))
        group["ragged"] = np.array([np.arange(one) for one in range(ROWS)], h5py.vlen_dtype("i4"))
        group["opaque"] = np.zeros(ROWS, h5py.opaque_dtype(np.dtype("M8[s]")))
        group["reference"] = np.array([file.ref] * ROWS, h5py.ref_dtype)
        for kind in KINDS:
            group.attrs[f"one_{name_of(kind)}"] = np.array(1).astype(kind)[()]
            group.attrs[f"many_{name_of(kind)}"] = np.arange(3).astype(kind)
            group.attrs[f"two_{name_of(kind)}"] = np.arange(4).reshape(2, 2).astype(kind)
        group.attrs.update({"text": "x é", "bytes": b"abc", "numpy": np.bytes_(b"a b"), "texts": ["a", "b"], "list": [b"a", b"bb"]})
        group.attrs.update({"void": np.void(b"abc"), "record": np.zeros(1, [("a", "i4")]), "reference": file.ref, "single": np.array([5])})
        file.attrs["root"] = 1
        group["i1"].attrs["unit"] = "m"
        file["scalar"], file["word"], file["small"] = 3.5, "hallo", np.int8(3)
        file["late"] = np.array([3, 1, 2, 5, 4])
        file["seconds"] = np.array([0.25, 1.5, 2.5, -0.5, 1e6])
        inner = file.create_group("b h/sub:x")
        inner["a b"] = np.arange(ROWS)
        inner["other"] = np.arange(ROWS) * 2
        file.create_group("empty")
        file["soft"], file["dangling"], file["elsewhere"] = h5py.SoftLink("/g/i4"), h5py.SoftLink("/no"), h5py.ExternalLink("no.h5", "/x")
        file["hard"], file["type"] = group["i8"], np.dtype("i4")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    found = tmp_path_factory.mktemp("hdf5") / "a.h5"
    write(found)
    return found


def known(found):
    """The same with a text for nan, which is not itself."""
    if isinstance(found, dict):
        return {key: known(one) for key, one in found.items()}
    if isinstance(found, list | tuple):
        return [known(one) for one in found]
    return "nan" if found != found else found


def both(path, method, *arguments, **named):
    return [getattr(module.Hdf5Reader(path), method)(*arguments, **named) for module in (ours, theirs)]


STREAMS = [
    lambda chunk: {},
    lambda chunk: {"use_structs": False, "entity_path_prefix": "p/q"},
    lambda chunk: {"root_group": "/b h"},
    lambda chunk: {"root_group": "b h/sub:x/", "index_column": chunk.IndexColumn.sequence("/a b")},
    lambda chunk: {"root_group": "g", "ignore_datasets": ["i1", "/two", "nope"]},
    lambda chunk: {"index_column": chunk.IndexColumn.sequence("g/f4")},
    lambda chunk: {"index_column": chunk.IndexColumn.sequence("late"), "ignore_datasets": ["g"]},
    lambda chunk: {"index_column": chunk.IndexColumn.timestamp("/seconds", input_unit="s")},
    lambda chunk: {"index_column": chunk.IndexColumn.duration("seconds", input_unit="ms"), "use_structs": False},
    lambda chunk: {"index_column": chunk.IndexColumn.duration("g/u1", input_unit="us"), "ignore_datasets": ["/b h"]},
    lambda chunk: {"ignore_datasets": ["/g", "hard", "b h", "late", "seconds"]},
    lambda chunk: {"ignore_datasets": ["/"]},
]


@pytest.mark.parametrize("options", STREAMS)
def test_streams(path, options):
    """Groups, datasets and attributes of all types, on a timeline of the file or on rows, as one struct or each by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        streams = [module.Hdf5Reader(path).stream(**options(chunk)) for module, chunk in ((ours, shmrerun.chunk), (theirs, theirs_chunk))]
        mine, other = (known(chunks(stream)) for stream in streams)
        assert mine == other
        assert [len(one) for one in streams[0]] == [len(one) for one in streams[1]]


def test_what_is_in_a_file(path):
    """Groups, datasets with shapes and types, attributes of any object; what is not there is a KeyError."""
    assert [repr(one) for one in both(path, "groups")] == [repr(theirs.Hdf5Reader(path).groups())] * 2
    for where in ("/", "/g", "b h/"):
        mine, other = both(path, "datasets", where)
        assert [repr(one) for one in mine] == [repr(one) for one in other]
        assert both(path, "groups", where)[0] == both(path, "groups", where)[1]
    for where in ("/", "g", "/g/i1", "/empty"):
        mine, other = both(path, "attributes", where)
        assert mine == other
        assert [type(one) for one in mine.values()] == [type(one) for one in other.values()]
    for module in (ours, theirs):
        reader = module.Hdf5Reader(path)
        assert (str(reader.path), repr(reader)) == (str(path), f"Hdf5Reader({path})")
        for call, where in ((reader.groups, "/no"), (reader.datasets, "/g/i1"), (reader.attributes, "/no")):
            with pytest.raises(KeyError, match=r"/no|/g/i1"):
                call(where)
        with pytest.raises(FileNotFoundError, match=r"no\.h5"):
            module.Hdf5Reader(path.parent / "no.h5")


def test_bad_arguments(path, tmp_path):
    """Groups and timelines that cannot be, and datasets of other lengths, are errors at once, as there."""
    for said in (
        lambda chunk: {"root_group": "nope"},
        lambda chunk: {"root_group": "/g/i1"},
        lambda chunk: {"index_column": chunk.IndexColumn.sequence("zz")},
        lambda chunk: {"index_column": chunk.IndexColumn.sequence("g/two")},
        lambda chunk: {"index_column": chunk.IndexColumn.sequence("g/text")},
        lambda chunk: {"index_column": chunk.IndexColumn.sequence("scalar")},
        lambda chunk: {"index_column": chunk.IndexColumn.sequence("g/f2")},
        lambda chunk: {"index_column": chunk.IndexColumn.duration("late"), "ignore_datasets": ["late"]},
    ):
        for module, chunk in ((ours, shmrerun.chunk), (theirs, theirs_chunk)):
            with pytest.raises(ValueError, match=r"a\.h5"):
                module.Hdf5Reader(path).stream(**said(chunk))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["a"], file["g/b"], file["g/c"] = np.arange(3), np.arange(4), np.zeros((5, 2))
    for module in (ours, theirs):
        with pytest.raises(ValueError, match=r"/g/b \(shape [\[(]4,?[\])]\), /g/c \(shape [\[(]5, 2[\])]\)"):
            module.Hdf5Reader(tmp_path / "b.h5").stream()
        assert len(module.Hdf5Reader(tmp_path / "b.h5").stream(ignore_datasets=["a", "g/b"]).to_chunks()) == 1
    with h5py.File(tmp_path / "nan.h5", "w") as file:
        file["t"], file["x"] = [1.0, np.nan], [1, 2]
    with pytest.raises(ValueError, match="'t', which is to be a timeline, has values that are no numbers"):
        ours.Hdf5Reader(tmp_path / "nan.h5").stream(index_column=shmrerun.chunk.IndexColumn.sequence("t")).to_chunks()


def test_parts(tmp_path):
    """Many rows, and large ones, come in chunks of the same sizes as there."""
    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["many/x"] = random.random(200_000)
        file["many/y"] = np.arange(200_000, dtype="i1")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("images", data=random.integers(0, 255, (40, 300, 400), np.uint8), chunks=(1, 300, 400), compression="gzip")
    for name in ("a.h5", "b.h5"):
        mine, other = ([one.to_record_batch() for one in stream] for stream in both(tmp_path / name, "stream"))
        assert [one.num_rows for one in mine] == [one.num_rows for one in other]
        assert all(
            one.select(range(1, one.num_columns)).equals(two.select(range(1, two.num_columns)))
            for one, two in zip(mine, other, strict=True)
        )


def test_what_is_left_out(path, tmp_path):
    """Values without a type here, or without values, are left out with a warning; a group in itself is not followed."""
    with pytest.warns(RerunWarning, match=r"left out, for what they have: /g/bool \(bool\)"):
        ours.Hdf5Reader(path).stream().to_chunks()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(2)
        file["none"], file["narrow"] = h5py.Empty("f4"), np.zeros((2, 0))
        file.attrs["none"], file.attrs["empty"], file.attrs["words"] = (
            h5py.Empty("i4"),
            np.array([], "f8"),
            np.array([], h5py.string_dtype()),
        )
        inner = file.create_group("g/h")
        inner["back"] = file["g"]
        file["g/top"] = file["/"]
        file["g/y"] = np.arange(2)
    reader = ours.Hdf5Reader(tmp_path / "a.h5")
    with pytest.warns(RerunWarning, match=r"the group /g/h/back is one of those that it is in|left out") as said:
        found = reader.stream(use_structs=False).to_chunks()
    assert len(said) == 3
    assert {one.entity_path for one in found} == {"/", "/g"}
    assert reader.attributes() == {"none": [], "empty": [], "words": []}
    assert reader.groups() == ["/g", "/g/h"]


def test_damaged_files(tmp_path):
    """A file that is none, cut off or overwritten is an error that names it, or is read; it never ends the program or goes on for ever."""
    write(tmp_path / "a.h5")
    whole = (tmp_path / "a.h5").read_bytes()
    for content in (b"", b"x" * 1000, whole[:8], whole[:600], whole[: len(whole) // 2], whole[:-1000]):
        (tmp_path / "cut.h5").write_bytes(content)
        reader = ours.Hdf5Reader(tmp_path / "cut.h5")
        for call in (reader.stream, reader.groups, reader.datasets, reader.attributes):
            with pytest.raises(ValueError, match="cannot read the HDF5 file"):
                call()
    program = """if True:
        import sys, warnings, random
        from itertools import islice
        import shmrerun.experimental as ours
        warnings.simplefilter("ignore")
        whole = open(sys.argv[1], "rb").read()
        for seed in range(int(sys.argv[3]), int(sys.argv[3]) + 60):
            bad = bytearray(whole)
            chance = random.Random(seed)
            for _ in range(chance.choice((1, 5, 50, 500))):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            open(sys.argv[2], "wb").write(bad)
            reader = ours.Hdf5Reader(sys.argv[2])
            for call in (lambda: list(islice(reader.stream(use_structs=False), 20)), reader.groups, reader.attributes):
                try:
                    call()
                except ValueError as error:
                    assert "bad.h5" in str(error), error
        print("done")
    """
    arguments = [sys.executable, "-c", program, tmp_path / "a.h5", tmp_path / "bad.h5", "0"]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
    assert ended.stdout == "done\n", ended.stderr[-2000:]


def test_lying_files(tmp_path):
    """A dataset that says to be larger than memory is given out part by part; rows that no chunk can hold are an error."""
    with h5py.File(tmp_path / "long.h5", "w") as file:
        file.create_dataset("x", shape=(10**15,), dtype="i4", chunks=(1000,))
        file.create_dataset("t", shape=(10**15,), dtype="i8", chunks=(1000,))
    for said in ({}, {"index_column": shmrerun.chunk.IndexColumn.sequence("t")}):
        stream = iter(ours.Hdf5Reader(tmp_path / "long.h5").stream(**said))
        assert [len(next(stream)) for _ in range(3)] == [65_536] * 3
        del stream
        gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name == "shmrerun reader"]
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file.create_dataset("x", shape=(3, 10**12), dtype="u1", chunks=(1, 1000))
    with pytest.raises(ValueError, match=r"the dataset /x of shape \(3, 1000000000000\) are more than a chunk can hold: .*wide\.h5"):
        ours.Hdf5Reader(tmp_path / "wide.h5").stream().to_chunks()
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        group = file
        for _ in range(3000):
            group = group.create_group("g")
        group["x"] = [1]
    assert len(ours.Hdf5Reader(tmp_path / "deep.h5").groups()) == 3000


def test_files_that_others_have_open(path, tmp_path):
    """Threads read at once, and a file that somebody writes can be read."""
    found = []

    def read():
        found.append(len(ours.Hdf5Reader(path).stream().to_chunks()))

    threads = [threading.Thread(target=read) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    with h5py.File(tmp_path / "open.h5", "w") as file:
        file["x"] = np.arange(3)
        file.flush()
        program = "import sys, shmrerun.experimental as e; print(len(e.Hdf5Reader(sys.argv[1]).stream().to_chunks()))"
        ended = subprocess.run([sys.executable, "-c", program, tmp_path / "open.h5"], capture_output=True, text=True, timeout=60)
        assert ended.stdout == "1\n", ended.stderr


def test_without_the_package(path):
    """Without h5py there is an error that says what to install."""
    program = """if True:
        import sys
        sys.modules["h5py"] = None
        import shmrerun.experimental as e
        for call in ("stream", "groups", "datasets", "attributes"):
            try:
                getattr(e.Hdf5Reader(sys.argv[1]), call)()
            except ImportError as error:
                print(error)
    """
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "HDF5 files need a package: pip install 'shmrerun[hdf5]'\n" * 4, ended.stderr
