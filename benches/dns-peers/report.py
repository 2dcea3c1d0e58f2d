"""The result: tables as Markdown, a chart as SVG."""

from html import escape

BAR_PX = 26
LABEL_PX = 230
WIDTH_PX = 860
COLOURS = {"idnode": "#c0392b", "bare loop": "#7f8c8d"}
PEER_COLOUR = "#2c6fbb"


def ratios(rows):
    """Each row's CPU time by that of the best of NSD and Knot and by that of the bare loop."""
    by_name = {row["server"]: row["cpu_us"] for row in rows}
    best = min((by_name[name] for name in ("NSD", "Knot") if name in by_name), default=None)
    return best, by_name.get("bare loop")


def cell(value, form):
    return "" if value is None else format(value, form)


def markdown(columns, lines):
    """A Markdown table."""
    return "\n".join(["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
                     + ["| " + " | ".join(line) + " |" for line in lines])


def cpu_table(rows):
    """Processor time a query, cheapest server first."""
    best, bare = ratios(rows)
    cheapest_peer = min((row["cpu_us"] for row in rows if row["peer"]), default=None)
    lines = []
    for row in sorted(rows, key=lambda row: row["cpu_us"]):
        low, high = min(row["cpu_us_rounds"]), max(row["cpu_us_rounds"])
        load = f"{row['load_s']:.1f}"
        if row["import_s"]:
            load += f" ({row['import_s']:.1f})"
        lines.append([
            row["server"], f"{row['cpu_us']:.2f} ({low:.2f}–{high:.2f})",
            cell(best and row["cpu_us"] / best, ".2f"),
            cell(cheapest_peer and row["cpu_us"] / cheapest_peer, ".2f"),
            cell(bare and row["cpu_us"] / bare, ".2f"),
            f"{row['qps'] / 1000:.0f} k", cell(row["bytes"], ".0f"), str(row["lost"]),
            f"{row['resident_mb']:.0f}", load])
    return markdown(["server", "CPU µs/query (rounds)", "× best of NSD, Knot", "× best peer",
                     "× bare loop", "max q/s", "bytes/answer", "lost", "resident MB",
                     "load s (import s)"], lines)


def latency_cells(row):
    low, high = min(row["p99_us_rounds"]), max(row["p99_us_rounds"])
    return [f"{row['p50_us']:.0f}", f"{row['p99_us']:.0f} ({low:.0f}–{high:.0f})",
            f"{row['p999_us']:.0f}", str(row["lost"])]


LATENCIES = ["p50 µs", "p99 µs (rounds)", "p99.9 µs", "lost"]


def latency_table(rows):
    """Latencies, the lowest p99 first."""
    return markdown(["server"] + LATENCIES, [
        [row["server"]] + latency_cells(row)
        for row in sorted(rows, key=lambda row: row["p99_us"])])


def disturb_table(rows):
    """Latencies with and without something else."""
    return markdown(["server", "meanwhile"] + LATENCIES + ["how much"], [
        [row["server"], row["meanwhile"]] + latency_cells(row) + ["; ".join(row["amounts"])]
        for row in rows])


def start_table(rows):
    """Seconds to the first answer, and memory."""
    lines = []
    for row in rows:
        low, high = min(row["start_s_rounds"]), max(row["start_s_rounds"])
        memory = ""
        if "asked" in row:
            memory = (f"{row['resident_asked_mb']:.0f} (at most {row['peak_mb']:.0f}) after "
                      f"{row['asked']:,} names")
        lines.append([row["server"], row["before"],
                      f"{row['start_s']:.2f} ({low:.2f}–{high:.2f})",
                      f"{row['resident_mb']:.0f}", memory])
    return markdown(["server", "started after", "first answer after s (rounds)", "resident MB",
                     "resident MB when asked"], lines)


def chart(cases):
    """Bars of CPU microseconds a query: `cases` is a list of titles with their rows."""
    parts, y = [], 20
    for title, rows in cases:
        if any(row.get("cpu_us") is None or "meanwhile" in row for row in rows):
            continue
        rows = sorted(rows, key=lambda row: row["cpu_us"])
        longest = max(row["cpu_us"] for row in rows)
        parts.append(f'<text x="10" y="{y}" class="t">{escape(title)}: '
                     f'CPU µs per query, less is better</text>')
        y += 14
        for row in rows:
            width = (WIDTH_PX - LABEL_PX - 80) * row["cpu_us"] / longest
            colour = COLOURS.get(row["server"], PEER_COLOUR)
            parts.append(
                f'<text x="{LABEL_PX - 8}" y="{y + 14}" text-anchor="end">'
                f'{escape(row["server"])}</text>'
                f'<rect x="{LABEL_PX}" y="{y}" width="{width:.1f}" height="{BAR_PX - 8}" '
                f'fill="{colour}"/>'
                f'<text x="{LABEL_PX + width + 6:.1f}" y="{y + 14}">{row["cpu_us"]:.2f}</text>')
            y += BAR_PX
        y += 30
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {y}" '
            f'width="{WIDTH_PX}" height="{y}" font-family="sans-serif" font-size="13">'
            '<style>.t{font-weight:bold;font-size:14px}</style>'
            f'<rect width="{WIDTH_PX}" height="{y}" fill="white"/>' + "".join(parts) + "</svg>\n")
