"""Lenses make of chunks what rerun-sdk's make, or say why not."""

import threading

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import rerun
import rerun.chunk as theirs

import shmrerun.chunk as ours

POSES = pa.array(
    [
        {"x": 1.0, "y": 2.0, "z": 3.0, "n": 7, "l": [1, 2], "s": "a", "deep": {"x": 1.0}},
        {"x": 1.5, "y": 2.0, "z": 3.0, "n": 5, "l": [], "s": None, "deep": {"x": None}},
        None,
        {"x": None, "y": 2.0, "z": 3.0, "n": 9, "l": [3, 4, 5], "s": "c", "deep": None},
    ]
)
ONE_EACH = pa.ListArray.from_arrays([0, 1, 2, 3, 4], POSES)
SOME = pa.ListArray.from_arrays(pa.array([0, 2, 2, 2, 4], pa.int32()), POSES, mask=pa.array([False, True, False, False]))
SCALARS = rerun.Scalars.descriptor_scalars()


def chunk(package, column=ONE_EACH, times=(4, 1, 3, 2), index="t"):
    table = {"t": list(times), "In:c": column, "o": pa.array([[1], [2], [3], [4]])}
    if index is None:
        del table["t"]
    return package.Chunk.from_record_batch(pa.record_batch(table), index=index, entity_path="/e")[0]


def plain(made, source):
    """Entities, metadata and values of chunks, and whether they kept the ids of their rows and their own."""
    found = []
    for one in made:
        batch = one.to_record_batch()
        batch.validate(full=True)
        fields = [(field.name, field.type, field.nullable, field.metadata) for field in batch.schema]
        values = [column.cast(pa.int64()) if pa.types.is_temporal(column.type) else column for column in batch.columns[1:]]
        keeps = [one.id == source.id, batch.column(0) == source.to_record_batch().column(0)]
        found.append((one.entity_path, keeps, fields, [column.to_pylist() for column in values]))
    return found


def outcome(package, make, **said):
    source = chunk(package, **said)
    try:
        return plain(make(package, source), source)
    except (ValueError, RuntimeError) as error:
        return type(error).__name__


def derive(**said):
    return lambda package: package.DeriveLens("In:c", **said)


LENSES = {
    "none": lambda p: [],
    "no such component": lambda p: p.DeriveLens("no").to_component("q", ".x"),
    "a field": lambda p: p.DeriveLens("In:c").to_component("Out:x", ".x"),
    "a descriptor": lambda p: p.DeriveLens("In:c").to_component(SCALARS, ".deep.x"),
    "over another": lambda p: p.DeriveLens("In:c").to_component("o", ".x"),
    "auto": lambda p: p.DeriveLens("In:c").to_component(SCALARS, ".n", cast_to="auto"),
    "auto of nothing": lambda p: p.DeriveLens("In:c").to_component("foo", ".n", cast_to="auto"),
    "a type": lambda p: p.DeriveLens("In:c").to_component("foo", ".n", cast_to=pa.float32()),
    "no cast": lambda p: p.DeriveLens("In:c").to_component("foo", ".l", cast_to=pa.float32()),
    "no field": lambda p: p.DeriveLens("In:c").to_component("foo", ".zz"),
    "an error": lambda p: p.DeriveLens("In:c").to_component("foo", ".x.y"),
    "an error that may be": lambda p: p.DeriveLens("In:c").to_component("foo", ".x.y?"),
    "two": lambda p: [p.DeriveLens("In:c").to_component("foo", ".x"), p.DeriveLens("In:c").to_component("bar", ".y")],
    "two of one": lambda p: p.DeriveLens("In:c").to_component("foo", ".x").to_component("bar", ".y"),
    "two that meet": lambda p: [p.DeriveLens("In:c").to_component("foo", ".x"), p.DeriveLens("In:c").to_component("foo", ".y")],
    "itself": lambda p: p.DeriveLens("In:c").to_component("In:c", ".x"),
    "itself elsewhere": lambda p: p.DeriveLens("In:c", output_entity="/z").to_component("In:c", ".x"),
    "elsewhere": lambda p: p.DeriveLens("In:c", output_entity="z/y").to_component("q", ".x"),
    "nothing elsewhere": lambda p: p.DeriveLens("In:c", output_entity="z/y").to_component("q", ".zz"),
    "empty": lambda p: p.DeriveLens("In:c"),
    "a timeline": lambda p: p.DeriveLens("In:c").to_component("q", ".x").to_timeline("s", "sequence", ".n"),
    "only a timeline": lambda p: p.DeriveLens("In:c").to_timeline("s", "sequence", ".n"),
    "the same timeline": lambda p: p.DeriveLens("In:c").to_component("q", ".x").to_timeline("t", "duration", ".n"),
    "times that are none": lambda p: p.DeriveLens("In:c").to_component("q", ".x").to_timeline("s", "timestamp_ns", ".x"),
    "scattered": lambda p: p.DeriveLens("In:c", scatter=True).to_component("q", ".x").to_component("r", ".s"),
    "scattered lists": lambda p: p.DeriveLens("In:c", scatter=True, output_entity="/q").to_component("q", ".l[]"),
    "scattered apart": lambda p: p.DeriveLens("In:c", scatter=True).to_component("q", ".l[]").to_component("r", ".x"),
    "scattered nothing": lambda p: p.DeriveLens("In:c", scatter=True).to_component("q", ".zz"),
    "mutated": lambda p: p.MutateLens("In:c", ".x"),
    "mutated, same ids": lambda p: p.MutateLens("In:c", ".x", keep_row_ids=True),
    "mutated away": lambda p: p.MutateLens("In:c", ".zz"),
    "mutated twice": lambda p: [p.MutateLens("In:c", ".x"), p.MutateLens("In:c", ".y")],
    "mutated, an error": lambda p: p.MutateLens("In:c", ".x.y"),
    "both": lambda p: [p.MutateLens("In:c", ".x"), p.DeriveLens("In:c").to_component("q", ".y")],
    "both, same ids": lambda p: [p.MutateLens("o", ".", keep_row_ids=True), p.DeriveLens("In:c").to_component("q", ".y")],
    "translation": lambda p: p.DeriveLens("In:c").to_translation("x", "y", "z"),
    "translation of a path": lambda p: p.DeriveLens("In:c").to_translation("deep.x", "y", "z"),
    "translation of types": lambda p: p.DeriveLens("In:c").to_translation("x", "y", "n"),
    "quaternion": lambda p: p.DeriveLens("In:c").to_quaternion("x", "y", "y", "z"),
    "scale": lambda p: p.DeriveLens("In:c").to_scale("x", "y", "z"),
    "scalars": lambda p: p.DeriveLens("In:c").to_scalars("n"),
    "many scalars": lambda p: p.DeriveLens("In:c").to_scalars("x", "y"),
    "packed": lambda p: p.DeriveLens("In:c").to_packed_component("foo", "x", "y", cast_to=None),
    "packed, auto": lambda p: p.DeriveLens("In:c").to_packed_component("foo", "x", "y"),
    "a function": lambda p: p.MutateLens("In:c", p.Selector(".x").pipe(lambda array: pc.multiply(array, 2))),
}


@pytest.mark.parametrize("name", LENSES)
def test_chunks_of_lenses(name):
    """Chunks, their columns, values and ids, of rows with one value, several, or none, with times and without."""
    columns = [{"column": SOME}] if name not in ("a timeline", "the same timeline") else []
    for said in ({}, {"index": None}, {"times": (1, 1, 2, 2)}, *columns):
        found = [outcome(package, lambda p, source: source.apply_lenses(LENSES[name](p)), **said) for package in (ours, theirs)]
        if not isinstance(found[1], str):
            found[1] = [one for one in found[1] if one[3]]  # rerun-sdk has chunks without rows among static ones
        assert found[0] == found[1], said


@pytest.mark.parametrize("mode", ["drop_unmatched", "forward_unmatched", "forward_all"])
@pytest.mark.parametrize("content", [None, "/f", ["/**", "-/e"]])
def test_streams_of_lenses(mode, content):
    """What streams keep beside what lenses make, for some entities or all."""
    for name, make in LENSES.items():

        def through(package, source):
            chunks = [source, source.with_entity_path("/f")]
            lenses = make(package)  # noqa: B023
            return package.LazyChunkStream.from_iter(chunks).lenses(lenses, output_mode=mode, content=content).to_chunks()

        found = []
        for package in (ours, theirs):
            made = outcome(package, through)
            found.append(made if isinstance(made, str) else [(path, *rest) for path, (_, keeps), *rest in made])
        assert found[0] == found[1], name


SELECTORS = [("In:c", ".x"), ("In:c", ".zz"), ("nope", "."), ("In:c", ".x.y"), (SCALARS, "."), ("In:c", ".l[]"), ("o", "map(.)?")]


@pytest.mark.parametrize(("source", "selector"), SELECTORS, ids=str)
def test_selectors_of_chunks(source, selector):
    """A component replaced by what is found in it."""
    for said in ({}, {"column": SOME, "index": None}):
        found = [outcome(package, lambda _, one: [one.apply_selector(source, selector)], **said) for package in (ours, theirs)]
        assert found[0] == found[1]


def test_turns():
    """Rotations about an axis, null where there is no struct: rerun-sdk makes one about no axis."""
    found = []
    for package in (ours, theirs):
        made = chunk(package).apply_lenses(package.DeriveLens("In:c").to_rotation_axis_angle("y", "y", "z", "n"))
        batch = made[0].to_record_batch()
        name = "Transform3D:rotation_axis_angle"
        found.append((batch.schema.field(name), batch.schema.field(name).metadata, batch.column(name).to_pylist()))
    assert found[0][:2] == found[1][:2]
    assert found[0][2][2] == [None]
    assert [row for row in found[0][2] if row != [None]] == [row for i, row in enumerate(found[1][2]) if i != 2]


def test_times_that_do_not_fit():
    """Each row needs one time; where it is null, it is 0. rerun-sdk ends the program where rows have none, or several."""
    lens = derive(output_entity="/q")(ours).to_component("q", ".x")
    for package in (ours, theirs):
        made = chunk(package).apply_lenses(package.DeriveLens("In:c").to_component("q", ".x").to_timeline("a", "sequence", ".n"))[1]
        assert made.to_record_batch().column("a").to_pylist() == [0, 5, 7, 9]
    with pytest.raises(ValueError, match="finds 4 times of 's' for 4 rows; each row needs one"):
        chunk(ours, SOME).apply_lenses(lens.to_timeline("s", "sequence", ".n"))
    with pytest.raises(ValueError, match="finds 5 times of 's' for 4 rows"):
        chunk(ours).apply_lenses(lens.to_timeline("s", "sequence", ".l[]"))
    scattered = derive(output_entity="/q", scatter=True)(ours).to_component("q", ".l[]")
    with pytest.raises(ValueError, match="finds 5 times of 's' for 7 rows"):
        chunk(ours).apply_lenses(scattered.to_timeline("s", "sequence", ".l[]"))
    with pytest.raises(ValueError, match="timeline_type is one of 'sequence', "):
        lens.to_timeline("s", "foo", ".n")


def test_scattered_times():
    """Times of the values that rows are made of."""
    column = pa.array([[{"l": [1, 2]}], [{"l": [3]}], [{"l": [4, 5]}], [{"l": [0]}]])
    for said in ({}, {"index": None}):
        found = []
        for package in (ours, theirs):
            lens = package.DeriveLens("In:c", scatter=True, output_entity="/q").to_component("q", ".l[]")
            source = chunk(package, column, **said)
            found.append(plain(source.apply_lenses(lens.to_timeline("s", "duration_ns", ".l[]")), source))
        assert found[0] == found[1]
        assert len(found[0][-1][3][-1]) == 6


def test_lenses_that_are_none():
    """Arguments of the wrong kind are errors that say so, before anything is read."""
    stream = ours.LazyChunkStream.from_iter([chunk(ours)])
    for bad in ("x", ["x"], [None]):
        with pytest.raises(TypeError, match="lenses are DeriveLens or MutateLens, not"):
            stream.lenses(bad)
    with pytest.raises(ValueError, match="output_mode is one of 'drop_unmatched'"):
        stream.lenses([], output_mode="x")
    with pytest.raises(ValueError, match="makes no component"):
        stream.lenses(ours.DeriveLens("In:c"))
    with pytest.raises(TypeError, match="a selector is a text"):
        ours.MutateLens("In:c", 5)
    for method in ("to_scalars", "to_packed_component"):
        with pytest.raises(ValueError, match="needs a field at least"):
            getattr(ours.DeriveLens("In:c"), method)(*["c"][: method == "to_packed_component"])
    with pytest.raises(ValueError, match="cast_to is an Arrow type, 'auto' or None, not 'x'"):
        chunk(ours).apply_lenses(ours.DeriveLens("In:c").to_component("q", ".x", cast_to="x"))
    assert len(stream.to_chunks()) == 1  # an error takes nothing over


def test_lenses_in_files(tmp_path):
    """A file of what lenses made, checked by rerun-sdk, by threads that share a lens."""
    lens = ours.DeriveLens("In:c").to_translation("x", "y", "z").to_component("s", ".s")
    files = [tmp_path / f"{i}.rrd" for i in range(4)]

    def write(path):
        ours.LazyChunkStream.from_iter([chunk(ours)]).lenses(lens).write_rrd(path, application_id="a", recording_id="r")

    threads = [threading.Thread(target=write, args=(path,)) for path in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in files:
        (made,) = theirs.RrdReader(path).stream().to_chunks()
        assert made.to_record_batch().column("Transform3D:translation").to_pylist()[0] == [[1.0, 2.0, 3.0]]
