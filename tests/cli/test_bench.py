"""`bench/run.py`: a measurement from the command to the page, with sizes that take no time and say nothing of speed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from html.parser import HTMLParser

import pytest

BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "bench")


def bench(program, *arguments, code=0):
    """Run a program of bench/; returns what it printed."""
    done = subprocess.run(
        [sys.executable, os.path.join(BENCH, program), *arguments], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


class Page(HTMLParser):
    """What is in a page: names of tags, with how often, and the texts; open tags must be closed in their order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts = {}, [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        assert not {"src", "href"} & {name for name, _ in attrs}, "the page needs no other file"
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_two_subjects_and_a_page(tmp_path):
    """Each subject has a line with no drops and all rows, there is a ratio, and the page has a table and a plot of them."""
    page = tmp_path / "report.html"
    subjects = ("shmrerun", "write_fsync", "tensorboard")
    printed = bench(
        "run.py",
        "--rounds",
        "1",
        "--scale",
        "0.001",
        "--report",
        str(page),
        "hot_path/points3d_1000",
        "throughput/scalar_3",
        "--subjects",
        *subjects,
    )
    lines = [json.loads(line) for line in printed.splitlines()]
    assert lines[0]["machine"]["versions"]["shmrerun"]
    assert "load_at_end" in lines[-1]
    figures = {(line["name"], line["subject"]): line for line in lines if "unit" in line}
    here = [*subjects[:2]] + ["tensorboard"] * all(map(importlib.util.find_spec, ("tensorboardX", "PIL", "crc32c")))
    assert {subject for name, subject in figures if name == "throughput/scalar_3"} == {*here}
    if "tensorboard" not in here:
        [line] = [line for line in lines if "left_out" in line]
        assert line["subject"] == "tensorboard"
        assert "shmrerun[bench]" in line["left_out"]
    for (name, _), line in figures.items():
        assert line["dropped"] == 0
        if name == "throughput/scalar_3":
            assert line["n"] == (50 + 1) * 3  # a row of each process comes before the clock starts
            assert line["rows_per_s"] == pytest.approx(line["n"] / line["secs"])
    line = figures["hot_path/points3d_1000", "shmrerun"]
    assert line["times_memcpy_p50"] == pytest.approx(line["p50"] / line["memcpy_p50"])
    ratios = {(line["name"], line["subject"]): line["secs"]["median"] for line in lines if "ratio" in line}
    for (name, subject), ratio in ratios.items():
        assert ratio == pytest.approx(figures[name, subject]["secs"] / figures[name, "shmrerun"]["secs"])
    assert {subject for _, subject in ratios} == {*here} - {"shmrerun"}
    found = Page(page.read_text(encoding="utf-8"))
    assert found.tags["table"] >= 1
    assert found.tags["svg"] >= 1
    assert found.tags["rect"] == len(here)  # a bench with one subject has no plot
    text = " ".join(found.texts)
    assert "Scalars, 3 processes" in text
    assert "limit: write and fsync" in text
    assert "Sizes were scaled by 0.001" in text


def test_page_of_lines_with_losses(tmp_path):
    """A result with drops says so and has no ratio; texts of lines are no markup, and lines of other programs are passed over."""
    lines = [
        {"machine": {"cpu": "<b>fast</b>", "memory_bytes": 1 << 30}, "rounds": 2, "scale": 1.0},
        {"subject": "queue_mcap", "left_out": "needs mcap"},
        {"name": "burst/scalar", "subject": "rerun_merge", "failed": "ended with <1>"},
        {
            "dropped": 7,
            "name": "burst/scalar",
            "subject": "shmrerun",
            "unit": "ns",
            "rounds": 2,
            "longest": 9e6,
            "spread": {"longest": [1e6, 2e7]},
        },
        {
            "dropped": 0,
            "name": "burst/scalar",
            "subject": "rerun_merge",
            "unit": "ns",
            "rounds": 2,
            "longest": 0,
            "spread": {"longest": [0, 0]},
        },
        {
            "name": "burst/scalar",
            "ratio": "rerun_merge / shmrerun",
            "subject": "rerun_merge",
            "rounds": 2,
            "no_result": "rows were dropped",
        },
        {
            "dropped": 0,
            "name": "burst/unknown",
            "subject": "somebody",
            "unit": "ns",
            "rounds": 1,
            "longest": 1,
            "spread": {"longest": [1, 1]},
        },
    ]
    source, page = tmp_path / "lines.jsonl", tmp_path / "page.html"
    source.write_text("a warning\n" + "".join(json.dumps(line) + "\n" for line in lines) + '{"name": "burst/sca')
    bench("report.py", str(source), str(page))
    found = Page(page.read_text(encoding="utf-8"))
    assert "b" not in found.tags
    for part in ("rows were dropped", "ended with <1>", "needs mcap", "9 ms", "1 ms-20 ms", "unknown", "somebody", "7"):
        assert any(part in text for text in found.texts), part
    source.write_text("")
    bench("report.py", str(source), str(page))
    assert Page(page.read_text(encoding="utf-8")).tags["h1"] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nothing"], "there is no bench nothing"),
        (["throughput/scalar_0"], "there is no bench throughput/scalar_0"),
        (["hot_path", "--subjects", "memcpy"], "has a subject memcpy"),
    ],
)
def test_wrong_names(arguments, text):
    """A bench or subject that does not exist is an error, before anything runs."""
    assert text in bench("run.py", *arguments, code=1)
