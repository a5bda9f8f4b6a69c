"""`shmrerun.urdf`: robots in hand, with rerun-sdk 0.41 as the judge."""

import warnings

import numpy as np
import pyarrow as pa
import pytest
from helpers import run
from helpers_rrd import rerun

from shmrerun import urdf

theirs = pytest.importorskip("rerun.urdf")
ROBOT = """<robot name="my robot/x">
 <material name="blue"><color rgba="0.1 0.2 0.8 0.7"/></material>
 <link name="base"/><link name="a2"/><link name="l3"/><link name="l4"/><link name="l5"/><link name="l6"/><link name="l7"/><link name="l8"/>
 <link name="arm one">
  <visual><geometry><box size="1 2 3"/></geometry><material name="blue"/></visual>
  <visual name="n m"><origin rpy="1 2 3"/><geometry><sphere radius="1"/></geometry></visual>
  <visual><geometry><mesh filename="gone.stl"/></geometry></visual>
  <collision><geometry><sphere radius="0.25"/></geometry></collision>
  <collision name="c"><geometry><mesh filename="b.stl" scale="1 2 3"/></geometry></collision>
 </link>
 <joint name="j2" type="revolute"><parent link="base"/><child link="a2"/><axis xyz="0 0 1"/>
  <limit lower="-0.5" upper="1" effort="3" velocity="4"/></joint>
 <joint name="j1" type="fixed"><origin xyz="0 0 1" rpy="0.1 0.2 0.3"/><parent link="base"/><child link="arm one"/></joint>
 <joint name="j3" type="continuous"><origin xyz="0.1 0 0" rpy="0.3 0.1 -2"/><parent link="arm one"/><child link="l3"/><axis xyz="1 2 3"/>
  <mimic joint="j2" multiplier="2" offset="0.5"/></joint>
 <joint name="j4" type="prismatic"><origin xyz="0.1 0 0" rpy="0.3 0.1 -2"/><parent link="l3"/><child link="l4"/><axis xyz="0.3 2 -0.7"/>
  <limit lower="0.5" upper="1" effort="3" velocity="4"/><mimic joint="j2"/></joint>
 <joint name="j5" type="floating"><parent link="l3"/><child link="l5"/></joint>
 <joint name="j6" type="planar"><parent link="l3"/><child link="l6"/></joint>
 <joint name="j7" type="revolute"><parent link="l3"/><child link="l7"/></joint>
 <joint name="j8" type="spherical"><parent link="l3"/><child link="l8"/></joint>
</robot>"""
OPTIONS = ({}, {"entity_path_prefix": "a b/c", "frame_prefix": "p/", "static_transform_entity_path": "x/y"})
VALUES = (0, 0.3, -7.0, 5, 0.75, float("inf"))


@pytest.fixture
def robot(tmp_path):
    (tmp_path / "b.stl").write_bytes(b"solid")
    (tmp_path / "r.urdf").write_text(ROBOT)
    return tmp_path / "r.urdf"


@pytest.fixture(params=OPTIONS, ids=["plain", "prefixes"])
def both(request, robot):
    return tuple(package.UrdfTree.from_file_path(robot, **request.param) for package in (theirs, urdf))


def rows(batches):
    return {str(batch.component_descriptor()): batch.as_arrow_array().to_pylist() for batch in batches}


def outcome(function, *arguments, **options):
    """What a call gives: a value or the type of an error, and the types of its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            found = function(*arguments, **options)
        except Exception as error:
            found = next(kind for kind in (RuntimeError, ValueError, TypeError) if isinstance(error, kind))
            found = NotImplementedError if isinstance(error, NotImplementedError) else found
    return found, [warning.category for warning in seen]


def test_what_the_file_says(both):
    """Names, kinds, ends, axes, origins, limits and mimics of all joints, the paths of their links, and the texts of all objects."""
    found = []
    for tree in both:
        said = [repr(tree), tree.name, tree.frame_prefix, repr(tree.root_link()), tree.get_joint_by_name("?"), tree.get_link_by_name("?")]
        for joint in tree.joints():
            child, mimic = tree.get_joint_child(joint), joint.mimic
            said += [repr(joint), repr(child), joint.name, joint.joint_type, joint.parent_link, joint.child_link]
            said += [joint.axis, joint.origin_xyz, joint.origin_rpy]
            said += [joint.limit_lower, joint.limit_upper, joint.limit_effort, joint.limit_velocity, repr(mimic)]
            said += [tree.get_visual_geometry_paths(child), tree.get_collision_geometry_paths(child.name)]
            said += [] if mimic is None else [mimic.joint, mimic.multiplier, mimic.offset]
            assert tree.get_joint_by_name(joint.name).name == tree.get_joint_by_name(joint.name).name == joint.name
        found.append([*said, tree.get_visual_geometry_paths("?"), tree.get_link_by_name("arm one").name])
    assert found[0] == found[1]
    assert len(found[0]) > 100


@pytest.mark.parametrize("clamp", [True, False])
def test_transforms(both, clamp):
    """A joint's transform at a value, and at many, is theirs to the last bit; what is outside the limits is clamped, and said."""
    compared = 0
    for real, ours in zip(*(tree.joints() for tree in both), strict=True):
        for value in VALUES:
            wanted, warned = outcome(real.compute_transform, value, clamp=clamp)
            found, said = outcome(ours.compute_transform, value, clamp=clamp)
            assert said == warned
            if isinstance(wanted, type):
                assert found is wanted
            else:
                compared += 1
                assert repr(rows(found.as_component_batches())) == repr(rows(wanted.as_component_batches()))
        wanted, found = (outcome(joint.compute_transform_columns, VALUES[:4], clamp=clamp) for joint in (real, ours))
        assert found[1] == wanted[1]
        if not isinstance(wanted[0], type):
            assert rows(found[0]) == rows(wanted[0])
    assert compared == 5 * len(VALUES)


def test_a_value_that_is_none(robot):
    """What is no number is a TypeError that names the joint, nan stays nan, and the warning is of the caller's line."""
    joint = urdf.UrdfTree.from_file_path(robot).get_joint_by_name("j2")
    for wrong in ("1", None, [1]):
        with pytest.raises(TypeError, match="'j2' must be a number"):
            joint.compute_transform(wrong)
    with pytest.warns(UserWarning, match="nan rad") as seen:
        assert "nan" in repr(rows(joint.compute_transform(float("nan")).as_component_batches()))
    assert seen[0].filename == __file__


def test_batches(both):
    """Columns of names and values become a column of transforms, of the same type and values."""
    names = pa.array([["j1", "j2"], ["j3"], [], ["j4"]], pa.list_(pa.utf8()))
    for values in ([[1, 9], [0.5], [], [2]], [[1, 9], [5], [], [2]], [["1", "2"], ["3"], [], ["4"]]):
        for clamp in (True, False):
            with warnings.catch_warnings(action="ignore"):
                wanted, found = (tree.compute_joint_transform_batches(names, pa.array(values), clamp=clamp) for tree in both)
            assert found.type == wanted.type
            assert found.to_pylist() == wanted.to_pylist()


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ([["?"]], [[1.0]]),
        ([["j1"]], [[1.0, 2.0]]),
        ([["j1"]], [[1.0], [2.0]]),
        ([["j1"]], [None]),
        ([["j1", None]], [[1.0, 2.0]]),
        ([["j1"]], [["x"]]),
        ([["j5"]], [[1.0]]),
        ([[3]], [[1.0]]),
        (["j1"], [[1.0]]),
        (None, [[1.0]]),
    ],
)
def test_batches_that_are_none(both, names, values):
    """Lists that do not fit, nulls, other types and unknown joints are errors of the same kinds."""
    arrays = [None if given is None else pa.array(given) for given in (names, values)]
    wanted, found = (outcome(tree.compute_joint_transform_batches, *arrays)[0] for tree in both)
    assert isinstance(wanted, type)
    assert found is wanted


def test_recorded(robot, tmp_path):
    """A robot in hand is recorded as rerun-sdk records it, static, once with prefixes and once without; a missing mesh is said."""
    program = """
    import importlib, sys
    rr = importlib.import_module(sys.argv[1])
    Tree = importlib.import_module(sys.argv[1] + ".urdf").UrdfTree
    with rr.RecordingStream("app", recording_id="rec", send_properties=False) as recording:
        recording.save(sys.argv[2])
        recording.set_time("step", sequence=3)
        Tree.from_file_path("r.urdf", "pre", frame_prefix="q/", static_transform_entity_path="tf2").log_urdf_to_recording(recording)
        tree = Tree.from_file_path("r.urdf", "pre2")
        tree.log_urdf_to_recording()
        recording.log("moved", tree.get_joint_by_name("j2").compute_transform(0.5))
    """
    ended = [run(program, tmp_path, arguments=(name, f"{name}.rrd"), strict=False) for name in ("shmrerun", "rerun")]
    assert ended[0].stderr.count("a mesh is left out") == 2
    done = rerun("rrd", "compare", "--unordered", "--ignore-timeline", "log_tick", tmp_path / "shmrerun.rrd", tmp_path / "rerun.rrd")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"[:20_000]


@pytest.mark.parametrize("joints", [True, False])
def test_streams(both, joints):
    """The chunks of a robot are theirs, each with its entity, columns and values; a stream can be read again."""
    found = []
    for tree in both:
        stream = tree.stream(include_joint_transforms=joints)
        for _ in range(2):
            chunks = [(chunk.entity_path, chunk.is_static, chunk.to_record_batch()) for chunk in stream]
        found.append(
            [
                (path, static, {f.name: (f.type, batch.column(f.name).to_pylist()) for f in batch.schema if "RowId" not in f.name})
                for path, static, batch in chunks
            ]
        )
    assert found[0] == found[1]
    assert len(found[0]) > 10


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no element found"),
        ("<model/>", "not a 'robot'"),
        ("<robot name='x'><link name='a'/><link name='b'/></robot>", "2 root links"),
        ("{}", "has no 'type'"),
        ("{}type='swivel'", "is 'swivel', not one of revolute"),
        ("{}type='revolute'><axis xyz='1 2'/", "are not 3 numbers"),
        ("{}type='revolute'><limit upper='1'/", "has no 'effort'"),
        ("{}type='fixed'><mimic/", "has no 'joint'"),
    ],
)
def test_no_robot(tmp_path, text, told):
    """What is no robot, or damaged, is a RuntimeError, as there, which says why and names the file."""
    path = tmp_path / "in.urdf"
    if text.startswith("{}"):
        text = text.format("<robot name='x'><link name='a'/><link name='b'/><joint name='j' ")
        text += "><parent link='a'/><child link='b'/></joint></robot>"
    path.write_text(text)
    with pytest.raises(RuntimeError):
        theirs.UrdfTree.from_file_path(path)
    with pytest.raises(RuntimeError, match=told) as raised:
        urdf.UrdfTree.from_file_path(path)
    assert "in.urdf" in str(raised.value)


def test_arguments(robot):
    """No file is a RuntimeError, an argument of another type a TypeError, as there; without a recording nothing is logged."""
    for package in (theirs, urdf):
        load = package.UrdfTree.from_file_path
        with pytest.raises(RuntimeError):
            load("nowhere.urdf")
        for arguments, options in (((None,), {}), ((robot, 3), {}), ((robot,), {"frame_prefix": 3})):
            with pytest.raises(TypeError):
                load(*arguments, **options)
        assert load(str(robot)).log_urdf_to_recording() is None


def test_a_thousand_angles(tmp_path):
    """Sines, products and sums round as theirs: a thousand angles about as many axes are equal to the last bit."""
    random = np.random.default_rng(5)
    links, joints = ["<link name='l'/>"], []
    for number, (xyz, rpy, axis) in enumerate(random.uniform(-3, 3, (20, 3, 3))):
        texts = [" ".join(map(str, values)) for values in (xyz, rpy, axis)]
        links.append(f"<link name='l{number}'/>")
        joints.append(
            f"<joint name='{number}' type='{('continuous', 'prismatic')[number % 2]}'><origin xyz='{texts[0]}' rpy='{texts[1]}'/>"
            f"<parent link='l'/><child link='l{number}'/><axis xyz='{texts[2]}'/></joint>"
        )
    path = tmp_path / "r.urdf"
    path.write_text(f"<robot name='x'>{''.join(links + joints)}</robot>")
    real, ours = (package.UrdfTree.from_file_path(path) for package in (theirs, urdf))
    for one, other in zip(real.joints(), ours.joints(), strict=True):
        values = random.uniform(-9, 9, 50).tolist()
        wanted, found = (rows(joint.compute_transform_columns(values, clamp=False)) for joint in (one, other))
        assert found == wanted
