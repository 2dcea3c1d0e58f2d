"""What all cases have alike: the load generator, servers that are measured in turns, medians."""

import json
import os
import statistics
import subprocess

from machine import Others


class Bench:
    """A run of cases."""

    def __init__(self, options, work, peers):
        self.options = options
        self.work = work
        self.peers = peers
        self.server_processor = options.server_cpu
        self.client_processor = options.client_cpu
        self.both_processors = f"{options.server_cpu},{options.client_cpu}"
        self.idnode_settings = options.idnode_set
        self.seconds = options.seconds
        self.others = Others()
        self.real_time = may_be_real_time()

    def certificate(self):
        """A certificate and its key for the encrypted transports, the same for all."""
        certificate, key = (os.path.join(self.work, name) for name in ("cert.pem", "key.pem"))
        if not os.path.exists(certificate):
            make_certificate(certificate, key)
        return certificate, key

    def own(self, name):
        path = os.path.join(self.options.bin_dir, name)
        if not os.path.exists(path):
            raise RuntimeError(f"{path} is not there: cargo build --release --workspace --bins")
        return path

    def ask(self, server, questions, arguments, transport="udp", first=False):
        """One run of idbench against a server; its JSON document. `first`: before all other
        programs on its processor, if that is allowed."""
        command = ["taskset", "-c", str(self.client_processor)]
        if first and self.real_time:
            command += ["chrt", "-f", "10"]
        command += [self.own("idbench"), "dns",
                    "--json", "--server", f"127.0.0.1:{server.ports[transport]}",
                    "--transport", transport, "--names", questions,
                    "--server-pid", str(server.process.pid)] + [str(word) for word in arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"idbench on {server.label}: {done.stderr}")
        return json.loads(done.stdout)

    def say(self, text):
        print(text, flush=True)


def make_certificate(certificate, key):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650", "-subj",
                    "/CN=localhost", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)


def may_be_real_time():
    """Whether processes may be given a real-time priority here."""
    try:
        return subprocess.run(["chrt", "-f", "10", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


class Row:
    """What was measured of one server, round by round."""

    def __init__(self, server):
        self.server = server
        self.closed = []
        self.open = []
        self.resident_mb = 0.0

    def medians(self):
        answered = sum(document["answered"] for document in self.closed)
        size = sum(document["answer_bytes"] for document in self.closed)
        everything = self.closed + self.open
        return {
            "server": self.server.label,
            "peer": self.server.is_peer,
            "cpu_us": median(self.closed, "server_cpu_us_per_query"),
            "cpu_us_rounds": [document["server_cpu_us_per_query"] for document in self.closed],
            "qps": median(self.closed, "qps"),
            **{f"{name}_us": median(self.open, "latency_us", quantile)
               for name, quantile in QUANTILES.items()},
            "p99_us_rounds": [document["latency_us"]["p99"] for document in self.open],
            "lost": sum(document["lost"] for document in everything),
            "nxdomain_share": share(everything, "NXDOMAIN"),
            "bytes": size / answered if answered else None,
            "resident_mb": self.resident_mb,
            "load_s": self.server.load_s,
            "import_s": self.server.import_s,
        }


QUANTILES = {"p50": "p50", "p99": "p99", "p999": "p99.9"}


def median(rounds, *path):
    values = []
    for document in rounds:
        for key in path:
            document = document[key]
        values.append(document)
    return statistics.median(values) if values else None


def share(rounds, rcode):
    answered = sum(document["answered"] for document in rounds)
    return sum(document["rcodes"].get(rcode, 0) for document in rounds) / max(answered, 1)


def check(document, server, missing_share):
    """An answer of another kind than asked for makes a measurement worthless."""
    odd = {rcode for rcode in document["rcodes"] if rcode not in ("NOERROR", "NXDOMAIN")}
    missing = document["rcodes"].get("NXDOMAIN", 0) / max(document["answered"], 1)
    if odd or document["mismatched"] or document["truncated"] or not document["answered"]:
        raise RuntimeError(f"{server.label} answers wrongly: {json.dumps(document)}")
    if abs(missing - missing_share) > 0.02:
        raise RuntimeError(f"{server.label} denies {missing:.1%}, not {missing_share:.1%}")


def with_servers(bench, kinds, data, measure, transport="udp"):
    """Gets the servers to answer, measures, and ends them whatever happens."""
    running = [server for server in (kind(bench) for kind in kinds) if transport in server.ports]
    try:
        for server in running:
            server.prepare(data)
            server.start(data)
            bench.say(f"  {server.label}: import {server.import_s:.1f} s, "
                      f"load {server.load_s:.1f} s")
        return measure(running)
    finally:
        for server in running:
            server.stop()


def in_rounds(bench, rows, rounds, ask):
    """`ask(row, turn)` of every row in every round, each round beginning with another row."""
    def one_round(turn):
        for row in rotated(rows, turn):
            ask(row, turn)

    for turn in range(rounds):
        bench.others.watch([row.server for row in rows], lambda: one_round(turn))
        say_round(bench, turn, rows)
    return medians(rows)


def say_round(bench, turn, rows):
    def figure(row):
        if row.closed:
            return f"{row.closed[-1]['server_cpu_us_per_query']:.2f} µs"
        return f"p99 {row.open[-1]['latency_us']['p99']:.0f} µs"

    bench.say(f"  round {turn + 1}: " + ", ".join(
        f"{row.server.label} {figure(row)}" for row in rows))


def medians(rows):
    """What the table shows, with the memory that is in use at the end."""
    for row in rows:
        row.resident_mb = row.server.process.resident_mb()
    return [row.medians() for row in rows]


def rotated(rows, turn):
    """The rows, each turn beginning with another one."""
    start = turn % len(rows)
    return rows[start:] + rows[:start]
