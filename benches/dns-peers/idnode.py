"""idnode: its database is made once by `idctl import`, kept, and measured on a copy of it."""

import json
import os
import re
import shutil
import time

import zone
from process import Process, answers, free_port
from servers import START_LIMIT_S, Server

# What a node at rest may use of a processor, as a share of it.
REST = 0.05
REST_LIMIT_S = 600


class Idnode(Server):
    name = "idnode"
    is_peer = False

    def __init__(self, bench, label=None):
        super().__init__(bench, label)
        reference = self.run([bench.own("idnode"), "config", "reference"])
        dns = re.search(r"^\[dns\]$(.*?)(?=^\[|\Z)", reference, re.M | re.S)
        self.known = set(re.findall(r"^(\w+) =", dns.group(1), re.M)) if dns else set()
        for transport in ("tls", "https"):
            if f"{transport}_listen" in self.known:
                self.ports[transport] = free_port()
        # A copy, as the case of changing certificates changes it.
        self.certificate, self.key = self.path("certificate.pem"), self.path("key.pem")
        for source, target in zip(bench.certificate(), (self.certificate, self.key)):
            shutil.copy(source, target)
            os.chmod(target, 0o600)

    def environment(self):
        return None

    def settings(self):
        """One UDP thread and no limits, as far as this idnode knows the keys."""
        wanted = {"udp_threads": 1, "rrl_responses_per_s": 0}
        for transport in ("tls", "https"):
            if transport in self.ports:
                wanted.update({f"{transport}_listen": f"127.0.0.1:{self.ports[transport]}",
                               "tls_certificate": self.certificate, "tls_key": self.key})
        settings = [f"dns.{key}={value}" for key, value in wanted.items() if key in self.known]
        return settings + ["node.worker_threads=1"] + self.bench.idnode_settings

    def command(self, data):
        return self.command_at(self.path("data"))

    def command_at(self, data_dir):
        listen = [f"--{front}=127.0.0.1:0" for front in ("grpc", "http", "handle")]
        command = [self.bench.own("idnode"), "run", "--data-dir", data_dir,
                   f"--dns=127.0.0.1:{self.port}"] + listen
        for setting in self.settings():
            command += ["--set", setting]
        return command

    def prepare(self, data):
        store = data.store("idnode")
        done = os.path.join(store, "import-seconds")
        if not os.path.exists(done):
            self.fill(os.path.join(store, "data"), data)
            with open(done, "w") as out:
                out.write(str(self.import_s))
            data.imported("import.csv")
        with open(done) as seconds:
            self.import_s = float(seconds.read())
        self.renew(data)

    def renew(self, data):
        """A copy of the kept database: files that the node never changes are shared with it."""
        shutil.rmtree(self.path("data"), ignore_errors=True)
        shutil.copytree(os.path.join(data.store("idnode"), "data"), self.path("data"),
                        copy_function=share)

    def fill(self, data_dir, data):
        shutil.rmtree(data_dir, ignore_errors=True)
        self.run([self.bench.own("idnode"), "init", "--data-dir", data_dir])
        # Imported with both processors; measured on one, after a restart.
        node = Process(self.command_at(data_dir), self.bench.both_processors,
                       self.path("import.log"))
        try:
            call = self.call(node, data_dir)
            self.register(call)
            started = time.monotonic()
            self.run(call + ["import", "--restart", data.import_file])
            self.import_s = time.monotonic() - started
            rest(node)
        finally:
            node.stop()

    def call(self, node, data_dir):
        """The beginning of idctl's command line for a node that starts."""
        return [self.bench.own("idctl"), "--server", f"http://{self.addresses(node)['grpc']}",
                "--token-file", os.path.join(data_dir, "operator.token"), "--json"]

    def addresses(self, node=None):
        """Where a node listens that starts, by front."""
        node = node or self.process
        node.wait_for(lambda: '"grpc"' in node.head(), START_LIMIT_S, "idnode")
        line = next(line for line in node.head().splitlines() if line.startswith("{"))
        return json.loads(line)

    def register(self, call):
        """The prefix of all identifiers."""
        enterprise = json.loads(self.run(call + [
            "enterprise", "create", "--name", "Benchmark Motors",
            "--certificate-code", zone.CERTIFICATE_CODE]))
        owner = enterprise.get("id") or enterprise.get("enterprise", {}).get("id")
        self.run(call + ["enterprise", "review", owner, "verify"])
        self.run(call + ["prefix", "apply", zone.PREFIX, "--enterprise-id", owner])
        self.run(call + ["prefix", "start-review", zone.PREFIX])
        self.run(call + ["prefix", "approve", zone.PREFIX])


class IdnodeStart(Idnode):
    """One that is started again and again."""

    def launch(self, data, processor):
        """Starts it; seconds to its first answer."""
        if os.path.exists(self.path("log")):
            os.unlink(self.path("log"))
        self.process = Process(self.command(data), processor, self.path("log"))
        probe = f"{zone.owner(data.names - 1)}.{zone.ZONE}"
        return self.process.wait_for(lambda: answers(self.port, probe), START_LIMIT_S, self.label)


def share(source, target):
    """Copies a file of a RocksDB database; table files are only linked to: they never change."""
    if source.endswith(".sst"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def rest(node):
    """Waits until a node has nothing left to do, compaction included."""
    started = time.monotonic()
    quiet = 0
    while quiet < 3 and time.monotonic() - started < REST_LIMIT_S:
        before = node.cpu_s()
        time.sleep(1)
        quiet = quiet + 1 if node.cpu_s() - before < REST else 0
