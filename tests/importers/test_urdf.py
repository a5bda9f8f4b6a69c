"""URDF robots are recorded as rerun-sdk 0.41 records them."""

import pytest
from helpers import read_rows, run
from helpers_importers import compare, log

from shmrerun.chunk import RrdReader

pytest.importorskip("rerun")
ROBOT = """<?xml version="1.0"?>
<robot name="my robot/x">
 <material name="blue"><color rgba="0.1 0.2 0.8 0.7"/></material>
 <material name="picture"><texture filename="x.png"/></material>
 <link name="base"/>
 <link name="arm one">
  <inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial>
  <visual><origin xyz="1 2 3" rpy="0.1 0.2 0.3"/><geometry><box size="1 2 3"/></geometry><material name="blue"/></visual>
  <visual name="named"><geometry><cylinder radius="0.5" length="2"/></geometry>
   <material name="red"><color rgba="1 0.001 0.5 0"/></material></visual>
  <visual><geometry><sphere radius="0.25"/></geometry></visual>
  <visual><geometry><capsule radius="0.25" length="1"/></geometry><material name="grey"><color rgba="0.5 0.5 0.5 1"/></material></visual>
  <collision><geometry><sphere radius="0.25"/></geometry></collision>
  <collision name="c"><origin rpy="1.57 -0.3 3"/><geometry><mesh filename="meshes/b.stl" scale="1 2 3"/></geometry></collision>
 </link>
 <link name="arm2">
  <visual><geometry><mesh filename="meshes/b.obj"/></geometry><material name="blue"/></visual>
  <visual><geometry><mesh filename="meshes/missing.obj"/></geometry></visual>
  <visual><geometry><mesh filename="package://pkg/b.stl"/></geometry><material name="picture"/></visual>
  <visual><geometry><mesh filename="package://nowhere/b.stl"/></geometry></visual>
 </link>
 <link name="l3"/>
 <joint name="j1" type="fixed"><origin xyz="0 0 1" rpy="0 1.5707963 0"/><parent link="base"/><child link="arm one"/></joint>
 <joint name="j2" type="revolute"><parent link="base"/><child link="arm2"/><axis xyz="0 0 1"/>
  <limit lower="0" upper="1" effort="1" velocity="1"/></joint>
 <joint name="j3" type="continuous"><origin xyz="0.1 0 0"/><parent link="arm one"/><child link="l3"/></joint>
</robot>"""


def write(tmp_path):
    (tmp_path / "robots" / "meshes").mkdir(parents=True)
    (tmp_path / "ros" / "pkg").mkdir(parents=True)
    (tmp_path / "robots" / "r.urdf").write_text(ROBOT)
    for place in ("robots/meshes/b.stl", "robots/meshes/b.obj", "ros/pkg/b.stl"):
        (tmp_path / place).write_bytes(place.encode())


def test_a_robot(tmp_path):
    """Frames, shapes, colours, meshes beside the file and of ROS packages, and the transforms between the links."""
    write(tmp_path)
    ended = compare(tmp_path, "robots/r.urdf", env={"ROS_PACKAGE_PATH": f"{tmp_path}/no:{tmp_path}/ros"})
    assert ended.stderr.count("a mesh is left out") == 2


def test_a_robot_of_many_links(tmp_path):
    """Transforms are rows of one chunk, in the order of the links, however many there are."""
    links = [f"<link name='l{n}'/><joint name='j{n}' type='fixed'><parent link='root'/><child link='l{n}'/></joint>" for n in range(2000)]
    (tmp_path / "r.urdf").write_text(f"<robot name='r'><link name='root'/>{''.join(links)}</robot>")
    compare(tmp_path, "r.urdf")
    lengths = [len(chunk) for chunk in RrdReader(tmp_path / "ours.rrd").stream().filter(content="/tf_static")]
    assert lengths == [2000]


def test_colours(tmp_path):
    """Colours of any transparency are rounded alike; a mesh in COLLADA is said to be one."""
    colours = [(0.8, 0.3, 0.3, 0.3), (0.84, 0.48, 0.64, 0.15), (0.55, 0.01, 0.42, 0.58), (0.43, 0.37, 0.5, 0.7), (0.54, 0.7, 0.07, 0.42)]
    colours += [(n / 20, 1 - n / 30, n * n / 400, n / 25) for n in range(20)]
    links = [
        f"<link name='l{n}'><visual><geometry><sphere radius='1'/></geometry><material name='m{n}'>"
        f"<color rgba='{' '.join(map(str, colour))}'/></material></visual></link>"
        f"<joint name='j{n}' type='fixed'><parent link='root'/><child link='l{n}'/></joint>"
        for n, colour in enumerate(colours)
    ]
    mesh = "<link name='root'><visual><geometry><mesh filename='a.DAE'/></geometry></visual></link>"
    (tmp_path / "a.DAE").write_bytes(b"<COLLADA/>")
    (tmp_path / "in.urdf").write_text(f"<robot name='r'>{mesh}{''.join(links)}</robot>")
    compare(tmp_path, "in.urdf")


def test_times(tmp_path):
    """A robot is logged at the times of the calling thread, unless it is to be static; its transforms are static always."""
    write(tmp_path)
    run(
        """
        import shmrerun as rr
        for name, static in (("now", False), ("ever", True)):
            with rr.RecordingStream("app") as recording:
                recording.save(f"{name}.rrd")
                recording.set_time("step", sequence=7)
                recording.set_time("dur", duration=2)
                recording.log_file_from_path("robots/r.urdf", static=static)
        """,
        tmp_path,
    )
    now, ever = (read_rows(tmp_path / f"{name}.rrd") for name in ("now", "ever"))
    path = r"/my\ robot\/x"
    assert (now[path][0]["step"], now[path][0]["dur"]) == (7, 2_000_000_000)
    assert "step" not in ever[path][0]
    assert all("step" not in row for rows in (now, ever) for row in rows["/tf_static"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no element found"),
        ("<robot name='x'>", "no element found"),
        ("<model/>", "not a 'robot'"),
        ("<robot name='x'/>", "0 root links"),
        ("<robot name='x'><link name='a'/><link name='b'/></robot>", "2 root links"),
        ("<robot name='x'><link name='a'/><joint name='j'><parent link='a'/><child link='b'/></joint></robot>", "which is not there"),
        (
            "<robot name='x'><link name='r'/><link name='a'/><link name='b'/>"
            + "".join(f"<joint name='j'><parent link='{a}'/><child link='{b}'/></joint>" for a, b in ("ab", "ba", "ra"))
            + "</robot>",
            "in a circle",
        ),
        ("<robot name='x'><link name='a'><visual><geometry><box size='1 2'/></geometry></visual></link></robot>", "are not 3 numbers"),
        ('<!DOCTYPE x [<!ENTITY a "' + "x" * 1000 + '">' + "".join(
            f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 50}">' for n in range(6)) + "]><robot name='&g;'/>", "cannot read"),
    ],
    ids=["empty", "cut", "other", "no root", "two roots", "no child", "circle", "numbers", "bomb"],
)  # fmt: skip
def test_no_robot(tmp_path, text, told):
    """What is no robot gets an error that says why."""
    (tmp_path / "in.urdf").write_text(text)
    ended = log("shmrerun", "ours.rrd", ["in.urdf"], tmp_path)
    assert told in ended.stderr
    assert "in.urdf" in ended.stderr
