"""The questions that several cases ask: some names of many, a share of them of none."""

import zone

# Of the names that are asked, how many do not exist.
MISSING = 0.05


def asked(bench, data):
    """The file of questions, and how many there are."""
    count = min(bench.options.asked, data.names)
    path = data.questions(f"asked-{count}", lambda: zone.choose(data.names, count, 1), 2, MISSING)
    return path, count


def warm(bench, row, questions, count):
    """Everything once, so that caches have it."""
    bench.ask(row.server, questions, ["--order", "shuffle", "--queries", count])
