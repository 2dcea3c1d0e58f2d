"""The cases: what is asked of whom, in turns."""

from functools import partial

import report
import servers
import zone
from asked import MISSING, asked, warm
from bench import Row, check, in_rounds, with_servers
from compare import compare
from data import Data
from disturb import reload, storm
from idnode import Idnode, IdnodeStart
from start import start

def udp(bench, kinds):
    """Some names, again and again, as caches like it."""
    options = bench.options
    data = Data(bench.work, options.names)
    questions, count = asked(bench, data)

    def measure(running):
        compare(bench, running, data, "udp", MISSING)
        rows = [Row(server) for server in running]
        for row in rows:
            warm(bench, row, questions, count)

        def ask(row, turn):
            closed = bench.ask(row.server, questions, [
                "--seconds", bench.seconds, "--warmup", 0.5, "--seed", turn])
            check(closed, row.server, MISSING)
            row.closed.append(closed)

        return in_rounds(bench, rows, options.rounds, ask)

    return with_servers(bench, kinds, data, measure)


def latency(bench, kinds):
    """The same names at a fixed rate, by the clock."""
    options = bench.options
    data = Data(bench.work, options.names)
    questions, count = asked(bench, data)

    def measure(running):
        rows = [Row(server) for server in running]
        for row in rows:
            warm(bench, row, questions, count)

        def ask(row, turn):
            spin = [] if options.no_spin else ["--spin"]
            opened = bench.ask(row.server, questions, [
                "--seconds", bench.seconds, "--warmup", 0.5, "--seed", turn,
                "--rate", options.rate] + spin, first=options.no_spin)
            check(opened, row.server, MISSING)
            row.open.append(opened)

        return in_rounds(bench, rows, options.rounds, ask)

    return with_servers(bench, kinds, data, measure)


def different(bench, kinds):
    """Every query another name, so that caches of answers are of no use. What lies below them
    is warm: names all over the store were asked before, and are not asked again."""
    options = bench.options
    data = Data(bench.work, options.different_names)
    step = options.warm_step
    # As many as all rounds may take, at more than any server gives.
    most = min(int(options.rounds * bench.seconds * options.most_qps),
               data.names - data.names // step - 1)
    warming = data.questions(f"warm-{step}", lambda: range(0, data.names, step), 5)
    questions = data.questions(
        f"different-{step}-{most}",
        lambda: (number + number // (step - 1) + 1
                 for number in zone.choose(data.names - data.names // step - 1, most, 3)), 4)

    def measure(running):
        rows = [Row(server) for server in running]
        for row in rows:
            warmed = bench.ask(row.server, warming, [
                "--order", "shuffle", "--queries", len(range(0, data.names, step)),
                "--seconds", options.warm_seconds])
            bench.say(f"  {row.server.label}: warmed by {warmed['answered']:,} names in "
                      f"{warmed['elapsed_s']:.0f} s")
        each = most // options.rounds

        def ask(row, turn):
            closed = bench.ask(row.server, questions, [
                "--order", "file", "--skip", turn * each, "--queries", each,
                "--seconds", bench.seconds])
            check(closed, row.server, 0.0)
            row.closed.append(closed)

        return in_rounds(bench, rows, options.rounds, ask)

    return with_servers(bench, kinds, data, measure)


def connections(bench, kinds, transport):
    """Persistent connections, many queries under way on each."""
    options = bench.options
    data = Data(bench.work, options.stream_names)
    count = min(options.asked, 10_000, data.names)
    questions = data.questions(f"few-{count}", lambda: zone.choose(data.names, count, 5), 6)

    def measure(running):
        compare(bench, running, data, transport, MISSING)
        rows = [Row(server) for server in running]

        def ask(row, turn):
            closed = bench.ask(row.server, questions, [
                "--connections", 20, "--in-flight", 200, "--seconds", bench.seconds,
                "--warmup", 0.5, "--seed", turn], transport)
            check(closed, row.server, 0.0)
            row.closed.append(closed)

        return in_rounds(bench, rows, options.rounds, ask)

    return with_servers(bench, kinds, data, measure, transport)


class Case:
    """One case: what measures it, its title, the servers that take part, the option that says how
    many names there are, and the form of its table."""

    def __init__(self, measure, title, kinds, names="names", table=report.cpu_table):
        self.measure = measure
        self.title = title
        self.kinds = kinds
        self.names = names
        self.table = table

    def chosen(self, servers_chosen):
        """The classes of the servers that take part, of those that were chosen."""
        return [KINDS[key] for key in self.kinds
                if key in servers_chosen or key.split("-")[0] in servers_chosen]


KINDS = dict(servers.ALL, **{"idnode": Idnode, "idnode-start": IdnodeStart})
STREAM_NAMES = "stream_names"
CASES = {
    "udp": Case(udp, "UDP, the same names again and again",
                ["bare", "idnode", "nsd", "knot", "bind", "pdns"]),
    "different": Case(different, "UDP, every query another name", ["idnode", "pdns-uncached"],
                      "different_names"),
    "start": Case(start, "Start-up and memory", ["idnode-start"], "different_names",
                  report.start_table),
    "latency": Case(latency, "UDP at a fixed rate", ["idnode", "nsd", "knot"],
                    table=report.latency_table),
    "tcp": Case(partial(connections, transport="tcp"), "TCP, 20 connections, pipelined",
                ["idnode", "nsd", "knot", "bind", "pdns"], STREAM_NAMES),
    "tls": Case(partial(connections, transport="tls"), "DNS over TLS, 20 connections, pipelined",
                ["idnode", "nsd", "bind"], STREAM_NAMES),
    "https": Case(partial(connections, transport="https"), "DNS over HTTPS, 20 connections",
                  ["idnode", "bind"], STREAM_NAMES),
    "storm": Case(storm, "Readers while an import runs", ["idnode"],
                  table=report.disturb_table),
    "reload": Case(reload, "Readers while certificates are read again", ["idnode"],
                   table=report.disturb_table),
}
