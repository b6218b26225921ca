#!/usr/bin/env python3
"""Draws docs/speed.svg from the two tables of docs/performance.md, "In a real Envoy".

    build/speed.py            writes docs/speed.svg
    build/speed.py --check    writes nothing, and fails where docs/speed.svg is not what would be written

A row of the picture is a shape of rules, a dot is what a request costs. The document says that times can be compared only
within a line of a table, so the picture shows no times but multiples of the request without a filter of the same line.
Only 10 and 10,000 rules were measured: nothing is drawn between them but the way from one dot to the other.
"""
import math
import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "speed.svg"

FEW, MANY = "10 rules:", "10,000 rules:"  # the lines above the tables
BASE = "no filter"
# A way of matching: its column, its name in the picture, its class in the style, its place in a row.
WAYS = [("list", "list (--matching native)", "list", -9), ("Waymark", "filter (the default)", "filter", 0), ("`auto`", "auto (the cheaper way for each host)", "auto", 9)]

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 860, 132, 30, 112, 32, 84
LOW, HIGH = 0.85, 260.0
TICKS = [1, 2, 5, 10, 20, 50, 100, 200]

STYLE = """
  .back { fill: #ffffff; stroke: #d0d7de }
  text { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; font-size: 12px; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .quiet { fill: #57606a }
  .grid { stroke: #d8dee4 }
  .one { stroke: #8c959f; stroke-dasharray: 3 3 }
  .band { fill: #f6f8fa }
  .list { stroke: #bc4c00; fill: #bc4c00 } text.list { stroke: none }
  .filter { stroke: #0969da; fill: #0969da } text.filter { stroke: none }
  .auto { stroke: #1a7f37; fill: #1a7f37 } text.auto { stroke: none }
  .key { stroke: #57606a; fill: #57606a }
  .way { stroke-width: 2; stroke-opacity: 0.45 }
  circle.few { fill: #ffffff; stroke-width: 1.6 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .key { stroke: #9198a1; fill: #9198a1 }
    .grid { stroke: #21262d }
    .one { stroke: #6e7681 }
    .band { fill: #151b23 }
    .list { stroke: #f0883e; fill: #f0883e }
    .filter { stroke: #58a6ff; fill: #58a6ff }
    .auto { stroke: #3fb950; fill: #3fb950 }
    circle.few { fill: #0d1117 }
  }
"""


def table(text, heading):
    """The table below a line of the document: for each shape, its numbers by their column."""
    lines = text.splitlines()
    if heading not in lines:
        sys.exit(f"speed.py: {DOCUMENT.name} has no line {heading!r}")
    rows = []
    for line in lines[lines.index(heading) + 1:]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            break
    columns, shapes = rows[0], {}
    for row in rows[2:]:
        shapes[row[0]] = {c: float(v.replace(",", "")) for c, v in zip(columns[1:], row[1:]) if re.fullmatch(r"-?[\d.,]+", v)}
    return shapes


def multiples(row):
    """What a request costs each way, where one without a filter costs 1. The columns have what each way adds."""
    return {column: (row[BASE] + row[column]) / row[BASE] for column, *_ in WAYS}


def x(value):
    part = (math.log(value) - math.log(LOW)) / (math.log(HIGH) - math.log(LOW))
    return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)


def number(value):
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def draw(few, many):
    base = sorted(row[BASE] for row in (*few.values(), *many.values()))
    shapes = sorted(many, key=lambda shape: -multiples(many[shape])["list"])
    bottom = TOP + ROW * len(shapes)
    height = bottom + BOTTOM
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title description">',
        '<title id="title">What a request costs with 10 and with 10,000 rules</title>',
        '<desc id="description">'
        + escape("; ".join(f"{shape}: " + ", ".join(
            f"{name} {number(multiples(few[shape])[column])} to {number(multiples(many[shape])[column])}" for column, name, *_ in WAYS)
            for shape in shapes)) + "</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="back" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        '<text class="title" x="20" y="30">What a request costs in Envoy, with 10 rules and with 10,000</text>',
        f'<text class="quiet" x="20" y="50">Processor time, as a multiple of an Envoy with one route and no filter ({base[0]:.0f} to {base[-1]:.0f} µs). Shorter is better.</text>',
    ]
    at = 20
    for _, name, kind, _ in WAYS:
        out.append(f'<circle class="{kind}" cx="{at + 5}" cy="72" r="4.5"/><text class="{kind}" x="{at + 16}" y="76">{escape(name)}</text>')
        at += 34 + round(6.6 * len(name))
    at += 10
    out.append(f'<circle class="few key" cx="{at}" cy="72" r="4"/><text class="quiet" x="{at + 11}" y="76">10 rules</text>')
    out.append(f'<circle class="key" cx="{at + 84}" cy="72" r="4.5"/><text class="quiet" x="{at + 95}" y="76">10,000 rules</text>')

    for i in range(0, len(shapes), 2):
        out.append(f'<rect class="band" x="1" y="{TOP + i * ROW}" width="{WIDTH - 2}" height="{ROW}"/>')
    for tick in TICKS:
        out.append(f'<line class="{"one" if tick == 1 else "grid"}" x1="{x(tick)}" x2="{x(tick)}" y1="{TOP}" y2="{bottom}"/>')
        for y in (TOP - 8, bottom + 18):
            out.append(f'<text class="quiet" x="{x(tick)}" y="{y}" text-anchor="middle">{tick}×</text>')
    for i, shape in enumerate(shapes):
        middle = TOP + ROW * i + ROW / 2
        out.append(f'<text x="{LEFT - 14}" y="{middle + 4:.0f}" text-anchor="end">{escape(shape)}</text>')
        before, after = multiples(few[shape]), multiples(many[shape])
        for column, _, kind, place in WAYS:
            y = middle + place
            a, b = x(before[column]), x(after[column])
            out.append(f'<line class="way {kind}" x1="{a}" x2="{b}" y1="{y}" y2="{y}"/>')
            out.append(f'<circle class="{kind} few" cx="{a}" cy="{y}" r="3.4"/><circle class="{kind}" cx="{b}" cy="{y}" r="4"/>')
            if kind == "list" and after[column] > 2:
                out.append(f'<text class="{kind}" x="{b + 9}" y="{y + 4}">{number(after[column])}×</text>')
    out.append(f'<text class="quiet" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{bottom + 36}" text-anchor="middle">cost of a request, logarithmic scale</text>')
    out.append(f'<text class="quiet" x="20" y="{height - 16}">One row: rules of one shape, all on one host; hosts: each rule on its own host. Only 10 and 10,000 rules were measured.</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    text = DOCUMENT.read_text(encoding="utf-8")
    few, many = table(text, FEW), table(text, MANY)
    if few.keys() != many.keys():
        sys.exit(f"speed.py: the tables of {DOCUMENT.name} have different shapes")
    for value in [v for t in (few, many) for row in t.values() for v in multiples(row).values()]:
        if not LOW < value < HIGH:
            sys.exit(f"speed.py: {value:.2f} is outside the axis, which ends at {LOW} and {HIGH}")
    picture = draw(few, many)
    if not sys.argv[1:]:
        PICTURE.write_text(picture, encoding="utf-8")
    elif not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != picture:
        sys.exit("docs/speed.svg is not what the tables of docs/performance.md give; 'make speed' draws it")


main()
