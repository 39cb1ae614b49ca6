#!/usr/bin/python3
"""Draws doc/figures/*.svg from the newest result under build/bench, or from the given file. Needs matplotlib.

Must survive: a result with sections left out by BENCH_ONLY (those plots are left as they are) and rivals that were
skipped. The same result gives the same bytes, so that a plot in the tree changes only with its figures."""

import glob
import json
import os
import statistics
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "pg_rill", "font.family": "sans-serif", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e4e4",
    "axes.axisbelow": True, "axes.titlesize": 11, "axes.titlelocation": "left", "figure.facecolor": "white",
})
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullFormatter  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# Ours stand out; the rivals keep their colours from plot to plot. The palette is safe for colour-blind readers.
COLOURS = {"pg_rill": "#0a58ca", "pg_rill, stream_wait": "#0a58ca", "pg_rill, read with timeout": "#4c9be8",
           "pg_rill, librill": "#56b4e9", "librill": "#0a58ca", "stream_read_since": "#4c9be8",
           "plain": "#555555", "plain SELECT": "#555555", "notify": "#d55e00", "NOTIFY + SELECT": "#d55e00",
           "redis": "#009e73", "Redis Streams": "#009e73", "nats": "#cc79a7", "NATS JetStream": "#cc79a7", "pgq": "#b8860b"}
DASHES = {"pg_rill, read with timeout": (0, (4, 1.2)), "pg_rill, librill": (0, (1.2, 1))}
NAMES = {"plain": "plain INSERT", "notify": "NOTIFY trigger", "redis": "Redis Streams", "nats": "NATS JetStream", "pgq": "PgQ"}


def plain_number(value, _=None):
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def label_ends(axes, ends):
    """Labels the ends of the lines, moving labels apart where they would overlap: [(x, y, name)]."""
    to_axes = axes.transAxes.inverted()
    placed = []
    for x, y, name in sorted(ends, key=lambda end: end[1]):
        at = to_axes.transform(axes.transData.transform((x, y)))[1]
        if placed and at < placed[-1] + 0.065:
            at = placed[-1] + 0.065
        placed.append(at)
        axes.annotate(NAMES.get(name, name), (1.02, at), xycoords="axes fraction", va="center",
                      color=COLOURS.get(name, "black"), fontweight="bold" if name in ("pg_rill", "librill") else "normal",
                      annotation_clip=False)


def lines(axes, series):
    """series: {name: [(x, [values])]}: medians as a line, lowest to highest as a band."""
    ends = []
    for name, points in series.items():
        points = sorted(points)
        xs = [x for x, _ in points]
        medians = [statistics.median(values) for _, values in points]
        colour = COLOURS.get(name, "black")
        ours = name.startswith("pg_rill")
        axes.plot(xs, medians, marker="o", markersize=4, color=colour, linewidth=2.4 if ours else 1.5, zorder=3 if ours else 2)
        axes.fill_between(xs, [min(v) for _, v in points], [max(v) for _, v in points], color=colour, alpha=0.12, linewidth=0)
        ends.append((xs[-1], medians[-1], name))
    return ends


def by_name(rows):
    """{x: {name: values}} -> {name: [(x, values)]}"""
    series = {}
    for x, row in rows.items():
        for name, values in row.items():
            series.setdefault(name, []).append((int(x), values))
    return series


def save(figure, name):
    directory = os.path.join(ROOT, "doc", "figures")
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, name + ".svg")
    figure.savefig(path, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    plt.close(figure)
    print(os.path.relpath(path, ROOT))


def appends(section):
    figure, axes = plt.subplots(figsize=(6.4, 3.8))
    ends = lines(axes, by_name(section["values"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 8, 32, 64], ["1", "8", "32", "64"])
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(plain_number))
    axes.set_xlabel("writers")
    axes.set_ylabel("durable appends per second")
    axes.set_title("Appends: one chunk of 100 bytes per commit, 64 streams")
    label_ends(axes, ends)
    save(figure, "appends")


def latency(section):
    """The distribution: share of chunks that had arrived after a given time."""
    figure, axes = plt.subplots(figsize=(6.4, 3.8))
    ends = []
    for name, runs in section["samples"].items():
        samples = sorted(value for run in runs for value in run)
        shares = [100 * (i + 1) / len(samples) for i in range(len(samples))]
        cut = next(i for i, share in enumerate(shares) if share >= 99.5)
        axes.plot(samples[:cut], shares[:cut], color=COLOURS[name], label=name, linestyle=DASHES.get(name, "-"),
                  linewidth=2.2 if name.startswith("pg_rill") else 1.5)
        median = statistics.median(samples)
        ends.append((median, name))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    ticks = [t for t in (100, 200, 300, 500, 1000, 2000, 5000, 10000, 20000) if low <= t <= high]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.set_ylim(0, 100)
    axes.axhline(50, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xlabel("microseconds from the append call to delivery")
    axes.set_ylabel("% of chunks arrived")
    axes.set_title("Latency: a reader that waits for the next chunk")
    # A legend in the order of the medians, with the medians: the curves cross, so labels at their ends would not help.
    handles = dict(zip(*reversed(axes.get_legend_handles_labels())))
    ends.sort()
    axes.legend([handles[name] for _, name in ends], [f"{name}\nmedian {median:,.0f} µs" for median, name in ends],
                loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, labelspacing=0.9)
    save(figure, "latency")


def catchup(section):
    figure, axes = plt.subplots(figsize=(6.4, 2.2))
    (page, row), = section["values"].items()
    names = list(row)[::-1]
    medians = [statistics.median(row[name]) for name in names]
    spans = [[m - min(row[n]) for m, n in zip(medians, names)], [max(row[n]) - m for m, n in zip(medians, names)]]
    axes.barh(names, medians, color=[COLOURS.get(name, "black") for name in names], height=0.6, xerr=spans,
              error_kw={"elinewidth": 1, "ecolor": "#222222", "capsize": 3})
    for i, (name, median) in enumerate(zip(names, medians)):
        axes.annotate(f"{median / 1e6:.2f} M", (0, i), xytext=(8, 0), textcoords="offset points", va="center", color="white", fontweight="bold")
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
    axes.set_xlabel("chunks per second (thin line: slowest to fastest round)")
    axes.set_title(f"Catch-up: {section['chunks']:,} chunks of 100 bytes, {int(page):,} per page")
    save(figure, "catchup")


def growth(section):
    figure, grid = plt.subplots(2, 2, figsize=(9.6, 6.6))
    (append, read), (waiters, sizes) = grid
    for axes, rows, title in ((append, section["streams"]["append_us"], "An append, as streams grow"),
                              (read, section["streams"]["read_us"], "A read, as streams grow")):
        ends = lines(axes, by_name(rows))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(bottom=0)
        axes.set_xlabel("streams")
        axes.set_ylabel("µs, one session")
        axes.set_title(title)
        label_ends(axes, ends)
    ends = lines(waiters, by_name(section["waiters"]))
    waiters.set_ylim(bottom=0)
    waiters.yaxis.set_major_formatter(FuncFormatter(plain_number))
    waiters.set_xlabel("sessions waiting on other streams")
    waiters.set_ylabel("appends per second")
    waiters.set_title("8 writers beside waiting sessions")
    label_ends(waiters, ends)
    series = by_name(section["sizes"])
    ends = lines(sizes, {name: [(size, [v * size / 1e6 for v in values]) for size, values in points] for name, points in series.items()})
    sizes.set_xscale("log", base=2)
    sizes.set_yscale("log")
    sizes.set_xticks([16, 256, 4096, 65536, 1048576], ["16 B", "256 B", "4 KiB", "64 KiB", "1 MiB"])
    sizes.yaxis.set_major_formatter(FuncFormatter(plain_number))
    sizes.set_xlabel("bytes per chunk (incompressible)")
    sizes.set_ylabel("MB per second")
    sizes.set_title("8 writers, as chunks grow")
    label_ends(sizes, ends)
    figure.tight_layout()
    save(figure, "growth")


PLOTS = {"P1": appends, "P4": latency, "P6": catchup, "P8": growth}


def main():
    results = sys.argv[1:] or sorted(glob.glob(os.path.join(ROOT, "build", "bench", "*.json")))
    if not results:
        sys.exit("plots: no result under build/bench; run \"make bench\" first")
    with open(results[-1], encoding="utf-8") as file:
        sections = json.load(file)["sections"]
    for key, plot in PLOTS.items():
        if key in sections:
            plot(sections[key])


if __name__ == "__main__":
    main()
