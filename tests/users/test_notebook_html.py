"""A recording as HTML, for notebooks without a widget."""

import base64
import re

from helpers import check, run, scalars


def test_html_has_the_rows(tmp_path):
    """Without IPython the HTML itself is returned, with a warning; it holds the rows, and a frame of the size that was asked for."""
    result = run(
        """
        import sys
        import shmrerun as rr
        sys.modules |= {"IPython": None, "IPython.display": None}
        rr.init("app")
        rr.log("x", rr.Scalars(3.0))
        print(rr.legacy_notebook_show(width=100, height=50, timeout_ms=7))
        """,
        tmp_path,
    )
    assert "Could not import IPython.core.display" in result.stderr
    assert 'width="100" height="50"' in result.stdout
    assert 'src="https://app.rerun.io/version/0.41.0/?url=web_event://&amp;persist=0&amp;notebook=1"' in result.stdout
    file = tmp_path / "out.rrd"
    file.write_bytes(base64.b64decode(re.search(r'base64" id="[^"]*">([^<]*)<', result.stdout)[1]))
    assert scalars(check(file), "/x") == [3]


def test_html_names_its_viewer(tmp_path):
    """The viewer's address may be given, and is escaped; two pieces of HTML share no name; IPython gets an object of its own."""
    run(
        """
        import re, sys, types
        import shmrerun as rr
        display = types.ModuleType("IPython.display")
        display.HTML = lambda html: ("HTML", html)
        sys.modules |= {"IPython": types.ModuleType("IPython"), "IPython.display": display}
        off = rr.RecordingStream("off", default_enabled=False)
        try:
            rr.legacy_notebook_show(recording=off)
            raise SystemExit("no error")
        except ValueError as error:
            assert "No application id" in str(error)
        rr.init("app")
        pieces = [rr.legacy_notebook_show(app_url='http://h:1/"><b>') for _ in range(2)]
        assert [kind for kind, _ in pieces] == ["HTML"] * 2
        assert 'src="http://h:1/&quot;&gt;&lt;b&gt;?url=' in pieces[0][1]
        names = [re.search(r'iframe id="([^"]*)"', html)[1] for _, html in pieces]
        assert names[0] != names[1]
        """,
        tmp_path,
    )


def test_table_of_counters(tmp_path):
    """In a notebook a recording shows its ids, escaped, and its counters over all processes."""
    result = run(
        """
        import os
        import shmrerun as rr
        rec = rr.RecordingStream("app <b>", recording_id="one & two")
        rec.save("x<y.rrd")
        if os.fork() == 0:
            for i in range(40):
                rec.log("a", rr.Scalars(i))
            os._exit(0)
        os.wait()
        rec.log("a", rr.Scalars(1))
        rec.flush()
        print(rec._repr_html_())
        print(rr.RecordingStream("off", default_enabled=False)._repr_html_())
        """,
        tmp_path,
    )
    table, off = result.stdout.splitlines()
    cells = dict(re.findall(r"<th[^>]*>([^<]*)</th><td>([^<]*)</td>", table))
    assert cells["application"] == "app &lt;b&gt;"
    assert cells["recording"] == "one &amp; two"
    assert cells["rows"] == "42"  # with the start time
    assert int(cells["chunks"]) >= 2
    assert int(cells["bytes"].replace(",", "")) > 1000
    assert (cells["dropped"], cells["lost"]) == ("0", "0")
    assert cells["sinks"].startswith("file ")
    assert cells["sinks"].endswith("x&lt;y.rrd")
    assert "disabled, or ended" in off
