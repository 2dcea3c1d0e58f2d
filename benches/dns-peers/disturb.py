"""What readers notice, at a fixed rate, of an import and of certificates that change: the same
load with and without it, in turns."""

import json
import os
import re
import shutil
import signal
import threading
import time
import urllib.request

import zone
from asked import MISSING, asked, warm
from bench import Row, check, make_certificate, median, with_servers
from data import Data
from start import Import

# Between two new certificates, seconds.
RELOAD_EVERY_S = 0.5


def storm(bench, kinds):
    return disturbed(bench, kinds, "an import runs", Storm)


def reload(bench, kinds):
    return disturbed(bench, kinds, "certificates change", Reloads)


def disturbed(bench, kinds, what, kind_of_disturbance):
    options = bench.options
    data = Data(bench.work, options.names)
    questions, count = asked(bench, data)

    def measure(running):
        rows = []
        for server in running:
            warm(bench, Row(server), questions, count)
            quiet, busy = Row(server), Row(server)
            amounts = []

            def ask(row):
                # No spinning: the import needs some of the load generator's processor.
                opened = bench.ask(row.server, questions, [
                    "--seconds", bench.seconds, "--warmup", 0.5, "--rate", options.rate,
                    "--seed", len(row.open)], first=True)
                check(opened, row.server, MISSING)
                row.open.append(opened)

            for turn in range(options.rounds):
                bench.others.watch([server], lambda: ask(quiet))
                with kind_of_disturbance(bench, server, data) as disturbance:
                    ask(busy)
                amounts.append(disturbance.amount())
                bench.say(f"  round {turn + 1}: {server.label} p99 "
                          f"{quiet.open[-1]['latency_us']['p99']:.0f} µs, while {what} "
                          f"{busy.open[-1]['latency_us']['p99']:.0f} µs; {amounts[-1]}")
            rows += [table_row(quiet, "nothing else"), table_row(busy, what, amounts)]
        return rows

    return with_servers(bench, kinds, data, measure)


def table_row(row, meanwhile, amounts=()):
    row.resident_mb = row.server.process.resident_mb()
    return dict(row.medians(), meanwhile=meanwhile, amounts=list(amounts),
                cpu_us=median(row.open, "server_cpu_us_per_query"))


class Storm:
    """An import as fast as it goes, which yields to the load generator."""

    def __init__(self, bench, server, data):
        self.server = server
        self.loading = Import(bench, server, data)

    def __enter__(self):
        self.before = self.writes()
        self.started = time.monotonic()
        self.loading.__enter__()
        return self

    def __exit__(self, *failure):
        running = self.loading.runs()
        self.seconds = time.monotonic() - self.started
        self.loading.__exit__()
        self.written = self.writes() - self.before
        if not failure[0] and (not running or not self.written):
            raise RuntimeError("the import did not run while it was measured")

    def writes(self):
        call = self.server.call(self.server.process, self.server.path("data"))
        counters = json.loads(self.server.run(call + ["prefix", "stats", zone.PREFIX]))
        return sum(int(counters.get(name, 0)) for name in ("creations", "updates"))

    def amount(self):
        return f"{self.written / self.seconds / 1000:.0f} k identifiers/s written"


class Reloads:
    """Two certificates by turns, each announced by SIGHUP."""

    def __init__(self, bench, server, _data):
        self.server = server
        self.over = threading.Event()
        folder = server.folder
        self.pairs = [(os.path.join(folder, f"cert{n}.pem"), os.path.join(folder, f"key{n}.pem"))
                      for n in range(2)]
        for certificate, key in self.pairs:
            if not os.path.exists(certificate):
                make_certificate(certificate, key)

    def __enter__(self):
        self.before = self.reloads()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        turn = 0
        while not self.over.wait(RELOAD_EVERY_S):
            for source, target in zip(self.pairs[turn % 2],
                                      (self.server.certificate, self.server.key)):
                shutil.copyfile(source, target + ".new")
                os.chmod(target + ".new", 0o600)
                os.rename(target + ".new", target)
            os.kill(self.server.process.pid, signal.SIGHUP)
            turn += 1

    def __exit__(self, *failure):
        self.over.set()
        self.thread.join()
        self.done = self.reloads() - self.before
        if not failure[0] and not self.done:
            raise RuntimeError("no certificate was read while it was measured")

    def reloads(self):
        url = f"http://{self.server.addresses()['http']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        return sum(int(float(number)) for number in re.findall(
            r'^idnode_dns_certificate_reloads_total\{[^}]*outcome="loaded"[^}]*\} (\S+)$',
            text, re.M))

    def amount(self):
        return f"{self.done} times"
