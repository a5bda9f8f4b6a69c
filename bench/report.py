"""Make a page of the command's JSON lines: ``python bench/report.py lines.jsonl report.html``.

It is one file that needs no network: tables, and plots as SVG.
"""

from __future__ import annotations

import json
import math
import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import catalog
import peers
from catalog import OURS, Bench, Group

if TYPE_CHECKING:
    from collections.abc import Iterable

    Line = dict[str, Any]

STYLE = """
:root { --ink: #1c2530; --dim: #5c6875; --rule: #dde2e8; --paper: #fff; --ours: #2563c9; --peer: #a9b4c2;
  --limit: #e2c58f; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ef; --dim: #97a3b0; --rule: #333c47; --paper: #14191f; --ours: #6aa0f5; --peer: #586575;
    --limit: #8a713c; --bad: #ff8a80; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 3rem; border-top: 1px solid var(--rule); padding-top: 1.5rem; }
p, .facts { color: var(--dim); max-width: 52rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: 0.87rem; }
th, td { padding: 0.25rem 0.8rem 0.25rem 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--dim); font-weight: 500; } td:first-child, th:first-child { text-align: left; } .wide { overflow-x: auto; }
tr.head td { font-weight: 600; padding-top: 0.9rem; border-bottom-color: var(--dim); } tr.ours td { color: var(--ours); }
.spread { color: var(--dim); font-size: 0.85em; white-space: nowrap; } .bad { color: var(--bad); font-weight: 600; }
svg { width: 100%; height: auto; display: block; margin: 0.5rem 0 1rem; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .dim { fill: var(--dim); } svg .title { font-weight: 600; } svg line { stroke: var(--rule); } svg .reach { stroke: var(--ink); }
svg .ours { fill: var(--ours); } svg .peer { fill: var(--peer); } svg .limit { fill: var(--limit); }
ul { color: var(--dim); font-size: 0.9rem; } summary { cursor: pointer; color: var(--dim); }
"""
UNITS = {"ns": 1e-9, "s": 1.0, "s/row": 1.0}  # of times; in seconds
TIMES = {*catalog.PERCENTILES, "first", "mean", "longest", "import", "numpy_import", "memcpy_p50", "memcpy_p99"}
HIDDEN = {"name", "subject", "unit", "rounds", "spread", "load", "dropped", "rows", "pause_secs"}
KIBI = 1024.0


class Bar(NamedTuple):
    """A line of a plot: a value with its least and greatest."""

    label: str
    kind: str  # ours, peer, limit
    value: float
    low: float
    high: float


def page(lines: Iterable[Line]) -> str:
    """Return the page: facts of the machine, then each group of benches with its table and plots."""
    lines = list(lines)
    head = next((line for line in lines if "machine" in line), {})
    body = [f"<h1>shmrerun: benchmarks</h1>{_facts(head, lines)}"]
    for group in catalog.GROUPS:
        own = [line for line in lines if str(line.get("name", "")).startswith(f"{group.program}/")]
        if own:
            body.append(_section(group, own))
    title = "<meta charset=utf-8><meta name=viewport content='width=device-width'><title>shmrerun: benchmarks</title>"
    return f"<!doctype html><html lang=en><head>{title}<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"


def _facts(head: Line, lines: list[Line]) -> str:
    machine = head.get("machine", {})
    end = next((line["load_at_end"] for line in lines if "load_at_end" in line), "?")
    parts = [
        f"{machine.get('date', '')}. {machine.get('cpu', '?')}, {machine.get('cpus', '?')} processors, "
        f"{machine.get('memory_bytes', 0) / KIBI**3:.0f} GiB, Linux {machine.get('kernel', '?')}, files on {machine.get('files_on', '?')}; "
        f"load {machine.get('load', '?')} at the start, {end} at the end. Python {machine.get('python', '?')}; "
        + ", ".join(f"{name} {found}" for name, found in machine.get("versions", {}).items())
        + ".",
        f"Medians of {head.get('rounds', '?')} rounds, or fewer where it says so, with the least and the greatest; subjects took turns.",
        "Ratios are a peer's figure divided by shmrerun's, formed round by round: for times, above 1 means that shmrerun is faster.",
    ]
    text = "".join(f"<p class=facts>{escape(part)}</p>" for part in parts)
    if head.get("scale", 1.0) != 1.0:
        text += f"<p class=bad>Sizes were scaled by {head['scale']}: this page shows that the programs run, and nothing else.</p>"
    for line in lines:
        if "left_out" in line or "failed" in line:
            what = f"{line.get('name', '')} {catalog.title(line['subject'])}".strip()
            text += f"<p class=bad>{escape(what)}: {escape('left out, ' + line['left_out'] if 'left_out' in line else line['failed'])}</p>"
    return text


def _section(group: Group, lines: list[Line]) -> str:
    benches: dict[str, list[Line]] = {}
    for line in lines:
        benches.setdefault(line["name"], []).append(line)
    text = f"<h2>{escape(group.title)}</h2><p>{escape(group.text)}</p>"
    plots, rows = [], []
    for name, own in benches.items():
        bench = catalog.find(name) or group.benches[0]._replace(name=name, title=name.partition("/")[2])
        figures = [line for line in own if "unit" in line]
        ratios = {line["subject"]: line for line in own if "ratio" in line}
        if len(figures) > 1:
            plots.append((bench, figures))
        if figures:
            rows.append(_rows(bench, figures, ratios))
    text += _plots(plots)
    table = f"<div class=wide><table>{''.join(rows)}</table></div>"
    text += f"<details><summary>{len(rows)} tables</summary>{table}</details>" if len(rows) > 20 else table
    stored = dict.fromkeys(line["subject"] for line in lines if line.get("subject") in peers.NAMES)
    if {*stored} - {OURS}:
        text += f"<ul>{''.join(f'<li>{escape(peers.peer(name).title)}: {escape(peers.peer(name).stores)}</li>' for name in stored)}</ul>"
    return text


def _rows(bench: Bench, figures: list[Line], ratios: dict[str, Line]) -> str:
    """A bench in the table: its title and what is counted, then a row for each subject."""
    keys = [key for key in bench.keys if any(key in line["spread"] for line in figures)]
    others = [key for key in figures[0] if key not in HIDDEN and key not in keys and all(key in line for line in figures[:1])]
    drops = any("dropped" in line for line in figures)
    head = "".join(f"<th>{escape(key)}</th><th>ratio</th>" if ratios else f"<th>{escape(key)}</th>" for key in keys)
    rounds = f"{figures[0]['rounds']} round{'s' * (figures[0]['rounds'] > 1)}"
    title = f"<tr class=head><td colspan=99>{escape(bench.title)}</td></tr><tr><th>{rounds}</th>"
    text = title + ("<th>dropped</th>" if drops else "") + head + "".join(f"<th>{escape(key)}</th>" for key in others) + "</tr>"
    for line in figures:
        text += f"<tr class={_kind(line['subject'])}><td>{escape(catalog.title(line['subject']))}</td>"
        if drops:
            lost = line.get("dropped", 0)
            text += f"<td class=bad>{lost:,}</td>" if lost else "<td>0</td>"
        ratio = ratios.get(line["subject"], {})
        for key in keys:
            text += f"<td>{_with_spread(key, line)}</td>"
            if ratios:
                found = ratio.get(key)
                text += f"<td>{_number(found['median'])}{_spread(found['spread'], _number)}</td>" if found else f"<td>{_none(ratio)}</td>"
        text += "".join(f"<td>{_value(key, line[key], line['unit']) if key in line else ''}</td>" for key in others) + "</tr>"
    return text


def _none(ratio: Line) -> str:
    return f"<span class=bad>{escape(ratio['no_result'])}</span>" if "no_result" in ratio else ""


def _plots(benches: list[tuple[Bench, list[Line]]]) -> str:
    """One drawing for each number that is the first of its bench: bars of all benches over one axis."""
    by_key: dict[tuple[str, str], list[tuple[str, list[Bar]]]] = {}
    for bench, figures in benches:
        key = next((key for key in bench.keys if key in figures[0]["spread"]), None)
        if key is None:
            continue
        scale = _seconds(key, figures[0]["unit"])
        bars = [
            Bar(catalog.title(line["subject"]), _kind(line["subject"]), *(scale * each for each in (line[key], *line["spread"][key])))
            for line in figures
            if key in line["spread"]
        ]
        if all(bar.low > 0 for bar in bars):
            by_key.setdefault((key, "time" if _is_time(key, figures[0]["unit"]) else key), []).append((bench.title, bars))
    return "".join(_svg(key, unit, groups) for (key, unit), groups in by_key.items())


def _svg(key: str, unit: str, groups: list[tuple[str, list[Bar]]]) -> str:
    """Draw groups of bars over a logarithmic axis, which begins at the power of ten below the least value."""
    bars = [bar for _, bars in groups for bar in bars]
    low = math.floor(math.log10(min(bar.low for bar in bars)))
    high = max(math.ceil(math.log10(max(bar.high for bar in bars))), low + 1)
    left, width, line = 340, 620, 19
    height = sum(26 + line * len(bars) for _, bars in groups) + 40

    def x(value: float) -> float:
        return left + width * (math.log10(value) - low) / (high - low)

    say = _time if unit == "time" else _number
    parts = [f'<text x="0" y="14" class="dim">{escape(key)}, logarithmic; lines: least and greatest round</text>']
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.1f}" y1="24" x2="{at:.1f}" y2="{height - 18}"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 4}" text-anchor="middle" class="dim">{say(10.0**power)}</text>')
    y = 26
    for title, own in groups:
        y += 20
        parts.append(f'<text x="0" y="{y - 5}" class="title">{escape(title)}</text>')
        for bar in own:
            end = x(bar.value)
            parts.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end" class="dim">{escape(bar.label)}</text>')
            parts.append(f'<rect x="{left}" y="{y + 2}" width="{max(end - left, 1):.1f}" height="{line - 5}" rx="2" class="{bar.kind}"/>')
            parts.append(f'<line x1="{x(bar.low):.1f}" y1="{y + 9}" x2="{x(bar.high):.1f}" y2="{y + 9}" class="reach"/>')
            parts.append(f'<text x="{x(bar.high) + 6:.1f}" y="{y + 13}">{say(bar.value)}</text>')
            y += line
        y += 6
    return f'<svg viewBox="0 0 1040 {height}" role="img" aria-label="{escape(key)}">{"".join(parts)}</svg>'


def _kind(subject: str) -> str:
    return "ours" if subject == OURS else "limit" if subject in peers.LIMITS else "peer"


def _is_time(key: str, unit: str) -> bool:
    if "secs" in key:
        return True
    return unit in UNITS and key in TIMES


def _seconds(key: str, unit: str) -> float:
    return UNITS[unit] if _is_time(key, unit) and "secs" not in key else 1.0


def _with_spread(key: str, line: Line) -> str:
    if key not in line:
        return ""
    return _value(key, line[key], line["unit"]) + _spread(line["spread"][key], lambda value: _value(key, value, line["unit"]))


def _spread(spread: list[float], say: Any) -> str:
    return "" if spread[0] == spread[1] else f" <span class=spread>{say(spread[0])}-{say(spread[1])}</span>"


def _value(key: str, value: float, unit: str) -> str:
    if key.endswith(("bytes", "bytes_per_s", "bytes_optimized")):
        return _bytes(value)
    return _time(value * _seconds(key, unit)) if _is_time(key, unit) else _number(value)


def _time(seconds: float) -> str:
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{_number(seconds * factor)} {unit}"
    return f"{_number(seconds)} s"


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < KIBI or unit == "GiB":
            return f"{_number(count)} {unit}"
        count /= KIBI
    raise AssertionError


def _number(value: float) -> str:
    """Three digits that count, and commas."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python bench/report.py LINES.jsonl REPORT.html")
    found = []
    for number, text in enumerate(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(json.loads(text))
        except ValueError:  # a warning between the lines, or the last one of a run that was ended
            print(f"line {number} of {sys.argv[1]} is no JSON, and left out", file=sys.stderr)
    Path(sys.argv[2]).write_text(page(line for line in found if isinstance(line, dict)), encoding="utf-8")
