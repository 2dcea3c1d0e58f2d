"""How long a node with many identifiers takes to its first answer, and the memory it has."""

import os
import random
import signal
import statistics
import subprocess
import time

import zone
from data import Data


# How long an import runs before the node is killed in the middle of it, seconds.
KILL_AFTER_S = 3
# Identifiers of that import, which begins again when it has come to its end.
MORE = 1_000_000


def start(bench, kinds):
    """Rows by what came before the start: a clean stop, the same with all files out of memory,
    kill -9 at rest, and kill -9 amid an import."""
    data = Data(bench.work, bench.options.different_names)
    rows = []
    for kind in kinds:
        server = kind(bench)
        try:
            server.prepare(data)
            rows += rows_of(bench, server, data)
        finally:
            server.stop()
    return rows


def rows_of(bench, server, data):
    befores = [("a clean stop", clean), ("a clean stop, no file in memory", forgotten),
               ("kill -9 at rest", killed), ("kill -9 amid an import", killed_importing)]
    rows = []
    for text, before in befores:
        row = {"server": server.label, "before": text, "start_s_rounds": [], "resident_mb": 0.0}
        for _ in range(bench.options.rounds):
            server.stop()
            server.renew(data)
            before(bench, server, data)
            row["start_s_rounds"].append(server.launch(data, bench.server_processor))
            row["resident_mb"] = server.process.resident_mb()
        row["start_s"] = statistics.median(row["start_s_rounds"])
        bench.say(f"  after {text}: " + ", ".join(f"{s:.2f} s" for s in row["start_s_rounds"]))
        if before is clean:
            row.update(asked_memory(bench, server, data))
        server.stop()
        rows.append(row)
    return rows


def asked_memory(bench, server, data):
    """Memory after the caches have filled: questions all over the store."""
    count = min(2_000_000, data.names)
    questions = data.questions(f"anywhere-{count}",
                               lambda: random.Random(7).sample(range(data.names), count), 8)
    asked = bench.ask(server, questions, ["--order", "shuffle", "--queries", count])
    if asked["rcodes"].keys() != {"NOERROR"}:
        raise RuntimeError(f"after the start: {asked['rcodes']}")
    return {"asked": asked["answered"], "resident_asked_mb": server.process.resident_mb(),
            "peak_mb": server.process.peak_mb()}


def clean(bench, server, data):
    server.launch(data, bench.server_processor)
    server.stop()


def forgotten(bench, server, data):
    clean(bench, server, data)
    for folder, _, names in os.walk(server.path("data")):
        for name in names:
            forget(os.path.join(folder, name))


def forget(path):
    """Makes the kernel drop what it keeps of a file in memory."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def killed(bench, server, data):
    server.launch(data, bench.server_processor)
    server.process.kill()


def killed_importing(bench, server, data):
    server.launch(data, bench.both_processors)
    with Import(bench, server, data):
        time.sleep(KILL_AFTER_S)
        server.process.kill()


class Import:
    """An import of further identifiers, again and again until it is ended: with two sets of values
    by turns, so that each of them writes."""

    def __init__(self, bench, server, data, mark="YE4"):
        self.bench = bench
        self.server = server
        self.files = [
            data.made(f"more-{mark}-{edition}.csv",
                      lambda path: zone.write_import(path, MORE, mark, f"?{edition}"))
            for edition in range(2)]
        self.child = None

    def __enter__(self):
        call = self.server.call(self.server.process, self.server.path("data"))
        # It gives way to the load generator, whose processor it shares.
        again = 'one=$1 two=$2; shift 2; while "$@" "$one" && "$@" "$two"; do :; done'
        self.child = subprocess.Popen(
            ["taskset", "-c", str(self.bench.client_processor), "nice", "-n", "19", "sh", "-c",
             again, "sh"] + self.files + call + ["import", "--restart", "--mode", "upsert",
                                                 "--retry-for", "1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        return self

    def runs(self):
        return self.child.poll() is None

    def __exit__(self, *_):
        if self.runs():
            os.killpg(self.child.pid, signal.SIGTERM)
        self.child.wait()


