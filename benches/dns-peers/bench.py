"""The cases: what is asked of whom, in turns."""

import json
import os
import statistics
import subprocess
from functools import partial

import servers
import zone


class Data:
    """The identifiers of one case, in the forms the servers read."""

    def __init__(self, work, names):
        self.names = names
        folder = os.path.join(work, f"data-{names}")
        os.makedirs(folder, exist_ok=True)
        self.zone_file = os.path.join(folder, "zone")
        self.import_file = os.path.join(folder, "import.csv")
        self.folder = folder
        done = os.path.join(folder, ".complete")
        if not os.path.exists(done):
            zone.write_zone(self.zone_file, names)
            zone.write_import(self.import_file, names)
            open(done, "w").close()

    def questions(self, name, numbers, seed, missing_share=0.0):
        path = os.path.join(self.folder, name)
        zone.write_questions(path, numbers, seed, missing_share)
        return path


class Bench:
    """What a run of cases has alike."""

    def __init__(self, options, work, peers):
        self.options = options
        self.work = work
        self.peers = peers
        self.server_processor = options.server_cpu
        self.client_processor = options.client_cpu
        self.both_processors = f"{options.server_cpu},{options.client_cpu}"
        self.idnode_settings = options.idnode_set
        self.seconds = options.seconds

    def certificate(self):
        """A certificate and its key for the encrypted transports, the same for all."""
        certificate, key = (os.path.join(self.work, name) for name in ("cert.pem", "key.pem"))
        if not os.path.exists(certificate):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650", "-subj",
                            "/CN=localhost", "-keyout", key, "-out", certificate],
                           check=True, capture_output=True)
        return certificate, key

    def own(self, name):
        path = os.path.join(self.options.bin_dir, name)
        if not os.path.exists(path):
            raise RuntimeError(f"{path} is not there: cargo build --release --workspace --bins")
        return path

    def ask(self, server, questions, arguments, transport="udp"):
        """One run of idbench against a server; its JSON document."""
        command = ["taskset", "-c", str(self.client_processor), self.own("idbench"), "dns",
                   "--json", "--server", f"127.0.0.1:{server.ports[transport]}",
                   "--transport", transport, "--names", questions,
                   "--server-pid", str(server.process.pid)] + [str(word) for word in arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"idbench on {server.label}: {done.stderr}")
        return json.loads(done.stdout)

    def say(self, text):
        print(text, flush=True)


class Row:
    """What was measured of one server, round by round."""

    def __init__(self, server):
        self.server = server
        self.closed = []
        self.open = []
        self.resident_mb = 0.0

    def medians(self):
        def median(rounds, *path):
            values = []
            for document in rounds:
                for key in path:
                    document = document[key]
                values.append(document)
            return statistics.median(values) if values else None

        answered = sum(document["answered"] for document in self.closed)
        size = sum(document["answer_bytes"] for document in self.closed)
        return {
            "server": self.server.label,
            "peer": self.server.is_peer,
            "cpu_us": median(self.closed, "server_cpu_us_per_query"),
            "cpu_us_rounds": [document["server_cpu_us_per_query"] for document in self.closed],
            "qps": median(self.closed, "qps"),
            "p50_us": median(self.open, "latency_us", "p50"),
            "p99_us": median(self.open, "latency_us", "p99"),
            "lost": sum(document["lost"] for document in self.closed + self.open),
            "nxdomain_share": share(self.closed, "NXDOMAIN"),
            "bytes": size / answered if answered else None,
            "resident_mb": self.resident_mb,
            "load_s": self.server.load_s,
            "import_s": self.server.import_s,
        }


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


def udp(bench, kinds):
    """Case one: some names, again and again, as caches like it."""
    options = bench.options
    data = Data(bench.work, options.names)
    numbers = zone.choose(data.names, options.asked, 1)
    missing = 0.05
    questions = data.questions("asked", numbers, 2, missing)

    def measure(running):
        rows = [Row(server) for server in running]
        for row in rows:
            # Everything once, so that caches have it.
            bench.ask(row.server, questions, ["--order", "shuffle", "--queries", len(numbers)])
        for turn in range(options.rounds):
            for row in rotated(rows, turn):
                closed = bench.ask(row.server, questions, [
                    "--seconds", bench.seconds, "--warmup", 0.5, "--seed", turn])
                check(closed, row.server, missing)
                row.closed.append(closed)
                row.open.append(bench.ask(row.server, questions, [
                    "--seconds", bench.seconds, "--warmup", 0.2, "--seed", turn,
                    "--rate", options.rate]))
            say_round(bench, turn, rows)
        return medians(rows)

    return with_servers(bench, kinds, data, measure)


def different(bench, kinds):
    """Case two: every query another name, so that caches of answers are of no use."""
    options = bench.options
    data = Data(bench.work, options.different_names)
    # In a random order, each once: what one run has asked no other asks again.
    questions = data.questions("all", zone.choose(data.names, data.names, 3), 4)

    def measure(running):
        rows = [Row(server) for server in running]
        places = dict.fromkeys(running, 0)
        for turn in range(options.rounds):
            for row in rotated(rows, turn):
                at = places[row.server]
                # As many names as a round may take without repeating any in a later one.
                most = data.names // options.rounds
                closed = bench.ask(row.server, questions, [
                    "--order", "file", "--skip", at, "--queries", most,
                    "--seconds", bench.seconds])
                check(closed, row.server, 0.0)
                places[row.server] = at + most
                row.closed.append(closed)
            say_round(bench, turn, rows)
        return medians(rows)

    return with_servers(bench, kinds, data, measure)


def connections(bench, kinds, transport):
    """Case three: persistent connections, many queries under way on each."""
    options = bench.options
    data = Data(bench.work, options.names)
    numbers = zone.choose(data.names, min(options.asked, 10_000), 5)
    questions = data.questions("asked-few", numbers, 6)

    def measure(running):
        rows = [Row(server) for server in running]
        for turn in range(options.rounds):
            for row in rotated(rows, turn):
                closed = bench.ask(row.server, questions, [
                    "--connections", 20, "--in-flight", 200, "--seconds", bench.seconds,
                    "--warmup", 0.5, "--seed", turn], transport)
                check(closed, row.server, 0.0)
                row.closed.append(closed)
            say_round(bench, turn, rows)
        return medians(rows)

    return with_servers(bench, kinds, data, measure, transport)


def say_round(bench, turn, rows):
    bench.say(f"  round {turn + 1}: " + ", ".join(
        f"{row.server.label} {row.closed[-1]['server_cpu_us_per_query']:.2f}" for row in rows))


def medians(rows):
    """What the table shows, with the memory that is in use at the end."""
    for row in rows:
        row.resident_mb = row.server.process.resident_mb()
    return [row.medians() for row in rows]


def rotated(rows, turn):
    """The rows, each turn beginning with another one."""
    start = turn % len(rows)
    return rows[start:] + rows[:start]


CASES = {
    "udp": (udp, "UDP, the same names again and again",
            ["bare", "idnode", "nsd", "knot", "bind", "pdns"]),
    "different": (different, "UDP, every query another name", ["idnode", "pdns-uncached"]),
    "tcp": (partial(connections, transport="tcp"), "TCP, 20 connections, pipelined",
            ["idnode", "nsd", "knot", "bind", "pdns"]),
    "tls": (partial(connections, transport="tls"), "DNS over TLS, 20 connections, pipelined",
            ["idnode", "bind"]),
    "https": (partial(connections, transport="https"), "DNS over HTTPS, 20 connections",
              ["idnode", "bind"]),
}


def kinds_of(case, chosen):
    """The server classes of a case, of those that were chosen."""
    keys = [key for key in CASES[case][2] if key in chosen or key.split("-")[0] in chosen]
    return [servers.ALL[key] for key in keys]
