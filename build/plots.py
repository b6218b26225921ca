#!/usr/bin/env python3
"""Draws docs/requests.svg and docs/starts.svg, and writes the tables of docs/performance.md, from docs/performance.json and,
for fleets, docs/fleet.json.

    build/plots.py            writes the pictures and the tables
    build/plots.py --check    writes nothing, and fails where they are not what would be written

The benches write these files (CONTRIBUTING.md has the commands). Its times can be compared only within a line, so
the picture of requests shows no times but multiples of the request without a filter of the same line. In the document,
<!-- requests N --> begins the table for N rules, <!-- starts --> that of starts, <!-- translations --> that
of translating, <!-- missed --> the goals that are not
reached, <!-- fleets -->, <!-- comparison -->, <!-- endpoints -->, <!-- memory --> and <!-- fleets missed --> are those of
fleets, and <!-- end --> ends each of them.
"""
import json
import math
import re
import statistics
import sys
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
DATA, FLEET, DOCUMENT = DOCS / "performance.json", DOCS / "fleet.json", DOCS / "performance.md"

# A way: its name in the data, its name in pictures, its class in the style.
WAYS = [
    ("list", "list", "list"), ("filter", "filter", "filter"), ("small", "small filter", "small"), ("tree", "tree", "tree"),
    ("auto", "auto", "auto"),
]
START_WAYS = [("none", "one rule", "key"), *WAYS, ("least", "least filter", "key")]

STYLE = """
  .back { fill: #ffffff; stroke: #d0d7de }
  text { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; font-size: 12px; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .quiet { fill: #57606a }
  .grid { stroke: #d8dee4 }
  .band { fill: #f6f8fa }
  .list { stroke: #bc4c00; fill: #bc4c00 }
  .filter { stroke: #0969da; fill: #0969da }
  .small { stroke: #8250df; fill: #8250df }
  .tree { stroke: #9a6700; fill: #9a6700 }
  .auto { stroke: #1a7f37; fill: #1a7f37 }
  .key { stroke: #57606a; fill: #57606a }
  text.list, text.filter, text.small, text.tree, text.auto, text.key { stroke: none }
  .way { stroke-width: 2.5; fill: none }
  .shape { stroke-width: 1; stroke-opacity: 0.4; fill: none }
  .tree.way { stroke-dasharray: 5 4 }
  .bar { stroke-width: 3; stroke-opacity: 0.45 }
  circle.few { fill: #ffffff; stroke-width: 1.6 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .quiet { fill: #9198a1 }
    .grid { stroke: #21262d }
    .band { fill: #151b23 }
    .list { stroke: #f0883e; fill: #f0883e }
    .filter { stroke: #58a6ff; fill: #58a6ff }
    .small { stroke: #bc8cff; fill: #bc8cff }
    .tree { stroke: #d29922; fill: #d29922 }
    .auto { stroke: #3fb950; fill: #3fb950 }
    .key { stroke: #9198a1; fill: #9198a1 }
    .way, .shape { fill: none }
    circle.few { fill: #0d1117 }
  }
"""


def number(value, digits=None):
    """A number for people: with a decimal below ten, with commas from a thousand on."""
    if value is None:
        return "–"
    if digits is None:
        digits = 1 if abs(value) < 10 else 0
    return f"{value:,.{digits}f}"


def multiples(row):
    """What a request costs each way, where one without a filter costs 1."""
    return {way: (row["none"] + q[1]) / row["none"] for way, q in row["added"].items()}


def begin(width, height, title, description):
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6"/>',
        f'<text class="title" x="20" y="30">{escape(title)}</text>',
    ]


def apart(ends, gap, lowest):
    """Moves the places of labels up, so that each is so far from the one below, and none is lower than the lowest."""
    placed = []
    for y, *rest in sorted(ends, reverse=True):
        placed.append((min(y, placed[-1][0] - gap if placed else lowest), *rest))
    return placed


def draw_requests(table):
    width, height, left, right, top, bottom = 860, 440, 60, 150, 88, 64
    rows = [r for r in table["rows"] if r["shape"] != "hosts"]  # a list of one rule per host
    sizes = sorted({r["rules"] for r in rows})
    shapes = list(dict.fromkeys(r["shape"] for r in rows))
    costs = {(r["shape"], r["rules"]): multiples(r) for r in rows}
    high = max(v for row in costs.values() for way, v in row.items() if way in [w for w, *_ in WAYS]) * 1.3
    low = 0.8

    def x(rules):
        return round(left + math.log(rules / sizes[0]) / math.log(sizes[-1] / sizes[0]) * (width - left - right), 1)

    def y(cost):
        return round(height - bottom - math.log(max(cost, low) / low) / math.log(high / low) * (height - top - bottom), 1)

    def line(points, kind):
        return f'<polyline class="{kind}" points="{" ".join(f"{x(n)},{y(v)}" for n, v in points)}"/>'

    def median(way, rules):
        values = [costs[s, rules][way] for s in shapes if way in costs.get((s, rules), {})]
        return statistics.median(values) if values else None

    medians = {way: [(n, median(way, n)) for n in sizes if median(way, n) is not None] for way, *_ in WAYS}
    title = "What a request costs in Envoy, by number of rules"
    out = begin(width, height, title, "Multiples of an Envoy with one route and no filter, medians of the shapes of rules. " + "; ".join(
        f"{name}: " + ", ".join(f"{number(v)} with {n:,} rules" for n, v in medians[way]) for way, name, _ in WAYS if medians[way]))
    out.append('<text class="quiet" x="20" y="50">Processor time, as a multiple of an Envoy with one route and no filter. Both scales are logarithmic.</text>')
    out.append('<text class="quiet" x="20" y="67">Thick lines: the median of all shapes of rules on one host. Thin lines: single shapes.</text>')
    tick = 1
    while tick < high:
        out.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(tick)}" y2="{y(tick)}"/>')
        out.append(f'<text class="quiet" x="{left - 8}" y="{y(tick) + 4}" text-anchor="end">{tick}×</text>')
        tick = tick * 5 // 2 if str(tick)[0] == "2" else tick * 2
    for n in sizes:
        out.append(f'<line class="grid" x1="{x(n)}" x2="{x(n)}" y1="{top}" y2="{height - bottom}"/>')
        out.append(f'<text class="quiet" x="{x(n)}" y="{height - bottom + 18}" text-anchor="middle">{n:,}</text>')
    out.append(f'<text class="quiet" x="{(left + width - right) // 2}" y="{height - bottom + 40}" text-anchor="middle">rules</text>')
    for way, _, kind in WAYS:
        if way not in ("tree",):  # those of auto are the same, where it takes the tree
            out.extend(line([(n, costs[s, n][way]) for n in sizes if way in costs.get((s, n), {})], f"{kind} shape") for s in shapes)
    ends = []
    for way, name, kind in WAYS:
        if medians[way]:
            out.append(line(medians[way], f"{kind} way"))
            ends.append((y(medians[way][-1][1]) + 4, f"{name} {number(medians[way][-1][1])}×", kind))
    out.extend(f'<text class="{kind}" x="{width - right + 12}" y="{at}">{escape(text)}</text>' for at, text, kind in apart(ends, 16, height - bottom))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def draw_starts(table):
    rows = {r["rules"]: r["ways"] for r in table["rows"]}
    few, many = min(rows), max(rows)
    ways = [w for w in START_WAYS if w[0] in rows[many]]
    width, top, row_height, bottom, label = 860, 118, 30, 62, 96
    height = top + row_height * len(ways) + bottom
    panels = [("until it is live, in seconds", "live", 1000, label + 14), ("resident memory after requests, in MiB", "loaded", 1, 490)]
    title = f"What an Envoy takes to start, with {few:,} and with {many:,} rules"
    out = begin(width, height, title, "; ".join(
        f"{name}: " + ", ".join(f"with {n:,} rules {rows[n][way]['live'] / 1000:.2f} s, {rows[n][way]['loaded']:.0f} MiB" for n in (few, many) if way in rows[n])
        for way, name, _ in ways))
    out.append(f'<text class="quiet" x="20" y="50">Rules of shape {escape(table["shape"])}, one worker. Shorter is better.</text>')
    out.append(f'<circle class="few key" cx="26" cy="70" r="4"/><text class="quiet" x="37" y="74">{few:,} rules</text>')
    out.append(f'<circle class="key" cx="116" cy="70" r="4.5"/><text class="quiet" x="127" y="74">{many:,} rules</text>')
    for i in range(0, len(ways), 2):
        out.append(f'<rect class="band" x="1" y="{top + i * row_height}" width="{width - 2}" height="{row_height}"/>')
    for i, (_, name, kind) in enumerate(ways):
        out.append(f'<text class="{kind}" x="{label}" y="{top + row_height * i + 19}" text-anchor="end">{escape(name)}</text>')
    for text, member, unit, left in panels:
        span = 310
        high = max(w[member] for n in (few, many) for w in rows[n].values()) / unit * 1.02
        step = 10 ** math.floor(math.log10(high))
        step = next(s for s in (step / 5, step / 2, step) if high / s <= 8)
        out.append(f'<text class="quiet" x="{left}" y="{top - 24}">{escape(text)}</text>')
        for k in range(int(high / step) + 1):
            at = round(left + k * step / high * span, 1)
            out.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{top}" y2="{height - bottom}"/>')
            for y in (top - 7, height - bottom + 18):
                out.append(f'<text class="quiet" x="{at}" y="{y}" text-anchor="middle">{k * step:g}</text>')
        for i, (way, _, kind) in enumerate(ways):
            y = top + row_height * i + row_height / 2
            values = [rows[n][way][member] / unit for n in (few, many) if way in rows[n]]
            a, b = (round(left + v / high * span, 1) for v in (values[0], values[-1]))
            out.append(f'<line class="bar {kind}" x1="{a}" x2="{b}" y1="{y}" y2="{y}"/>')
            if len(values) == 2:
                out.append(f'<circle class="{kind} few" cx="{a}" cy="{y}" r="3.6"/>')
            out.append(f'<circle class="{kind}" cx="{b}" cy="{y}" r="4"/>')
    out.append(f'<text class="quiet" x="20" y="{height - 16}">The filters are compiled by Envoy when it starts; auto and tree need none where every host has a tree.</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def markdown(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def request_table(table, rules):
    added = [("list", "list"), ("tree", "tree"), ("filter", "filter"), ("small", "small filter"), ("auto", "`auto`"), ("Lua", "Lua"), ("least", "least filter")]
    quotients = [("filter/least", 2), ("small/least", 2), ("filter/fewest", 2), ("least/fewest", 2), ("list/filter", 2), ("auto/filter", 2), ("auto/best", 3)]
    names = {"filter/fewest": "filter, against 10 rules", "least/fewest": "least, against 10 rules", "auto/filter": "`auto`/filter", "auto/best": "`auto`/best"}
    rows = [[r["shape"], number(r["none"], 1), *(number(r["added"].get(w, [0, None])[1]) for w, _ in added),
             *(number(r["quotients"].get(q), digits) for q, digits in quotients), r["auto"]] for r in table["rows"] if r["rules"] == rules]
    if not rows:
        sys.exit(f"plots.py: {DATA.name} has no requests with {rules} rules")
    return markdown(["Shape", "no filter", *(name for _, name in added), *(names.get(q, q) for q, _ in quotients), "`auto` takes"], rows)


def start_table(table):
    rows = [[f"{r['rules']:,}", name, number(w["bytes"] / 1024, 0), number(w["live"], 0), number(w["cpu"], 0), number(w["memory"], 0), number(w["loaded"], 0)]
            for r in table["rows"] for way, name, _ in START_WAYS if (w := r["ways"].get(way))]
    return markdown(["rules", "way", "bootstrap, KiB", "to live, ms", "processor time, ms", "memory, MiB", "after requests, MiB"], rows)


def translation_table(table):
    return markdown(["Shape", "rules", "processor time, ms", "memory, MiB"],
                    [[r["shape"], f"{r['rules']:,}", number(r["cpu"], 0), number(r["memory"], 0)] for r in table["rows"]])


# A server: its name in the data, its name in tables.
SERVERS = {"waymark": "Waymark", "linear": "linear caches", "snapshot": "snapshot cache"}


def fleet_table(table):
    rows = [[SERVERS[r["server"]], f"`{r['matching']}`",
             number(r["first"]["seconds"]), number(r["first"]["cpu"]), number(r["first"]["bytes"] / 1e6), number(r["first"]["peak"], 0),
             number(r["change"]["seconds"], 2), number(r["change"]["cpu"], 2), number(r["translation"], 2), number(r["change"]["bytes"] / 1e3), number(r["change"]["peak"], 0),
             number(r["return"]["bytes"], 0), number(r["return"]["cpu"]), number(r["return"]["peak"], 0), number(r["heap"], 0)] for r in table["rows"]]
    return markdown(["server", "`--matching`", "first state, s", "CPU, s", "MB for each proxy", "peak, MiB", "change, s", "CPU, s", "of it translation, s", "kB for each proxy",
                     "peak, MiB", "coming back, bytes for each proxy", "CPU, s", "peak, MiB", "alive, MiB"], rows)


def comparison_table(table):
    """What other servers take, in proportion to Waymark."""
    ours = {r["matching"]: r for r in table["rows"] if r["server"] == "waymark"}
    rows = [[SERVERS[r["server"]], f"`{r['matching']}`", *(number(r[phase][what] / ours[r["matching"]][phase][what], 2)
             for phase in ("first", "change") for what in ("seconds", "cpu", "bytes", "peak"))] for r in table["rows"] if r["server"] != "waymark"]
    return markdown(["server", "`--matching`", "first state: time", "CPU", "bytes", "peak", "change: time", "CPU", "bytes", "peak"], rows)


def endpoint_table(table):
    rows = [[SERVERS[r["server"]], number(r["cpu"]), number(100 * r["cpu"] / table["duration"]), number(r["lag"], 2), number(r["bytes"] / 1e3),
             number(r["messages"]["ClusterLoadAssignment"], 0), number(sum(n for t, n in r["messages"].items() if t != "ClusterLoadAssignment"), 0), number(r["peak"], 0)] for r in table["rows"]]
    return markdown(["server", "CPU, s", "% of a core", "lag at the end, s", "kB for each proxy", "responses with endpoints, for each proxy", "with anything else", "peak, MiB"], rows)


def memory_table(table):
    return markdown(["changes", "reconnections", "alive, MiB", "resident, MiB"],
                    [[f"{r['changes']:,}", f"{r['returns']:,}", number(r["heap"], 1), number(r["memory"], 0)] for r in table["rows"]])


def bullets(lines):
    return "".join(f"- {line}\n" for line in lines or ["none"])


def write_tables(text, data, fleet):
    def made(match):
        kind, _, rules = match["what"].partition(" ")
        if kind == "requests":
            table = request_table(data["requests"], int(rules))
        elif kind == "starts":
            table = start_table(data["starts"])
        elif kind == "translations":
            table = translation_table(data["translations"])
        elif match["what"] == "fleets missed":
            table = bullets(fleet["fleets"]["missed"])
        elif kind == "missed":
            table = bullets(data["requests"]["missed"])
        else:
            make, part = {"fleets": (fleet_table, "fleets"), "comparison": (comparison_table, "fleets"),
                          "endpoints": (endpoint_table, "endpoints"), "memory": (memory_table, "memory")}[kind]
            table = make(fleet[part])
        return f"<!-- {match['what']} -->\n\n{table}\n<!-- end -->"

    return re.sub(r"<!-- (?P<what>requests \d+|starts|translations|missed|fleets missed|fleets|comparison|endpoints|memory) -->\n.*?<!-- end -->", made, text, flags=re.DOTALL)


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    data = json.loads(DATA.read_text(encoding="utf-8"))
    made = {
        DOCS / "requests.svg": draw_requests(data["requests"]),
        DOCS / "starts.svg": draw_starts(data["starts"]),
        DOCUMENT: write_tables(DOCUMENT.read_text(encoding="utf-8"), data, json.loads(FLEET.read_text(encoding="utf-8"))),
    }
    for file, text in made.items():
        if not sys.argv[1:]:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            sys.exit(f"docs/{file.name} is not what docs/performance.json and docs/fleet.json give; 'make plots' writes it")


main()
