"""The servers: how each gets the data and is started, limits off, one thread, no log of queries."""

import json
import os
import re
import subprocess
import time

import zone
from process import Process, answers, free_port

START_LIMIT_S = 600


class Server:
    """What all have alike. `load_s` is from the start to the first answer, `import_s` what had
    to be done once before."""

    name = ""
    is_peer = True

    def __init__(self, bench, label=None):
        self.bench = bench
        self.label = label or self.name
        self.folder = os.path.join(bench.work, "run", self.label.replace(" ", "-"))
        # By transport.
        self.ports = dict.fromkeys(("udp", "tcp"), free_port())
        self.import_s = 0.0
        self.load_s = 0.0
        self.process = None
        os.makedirs(self.folder, exist_ok=True)

    @property
    def port(self):
        return self.ports["udp"]

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as out:
            out.write(text)
        return self.path(name)

    def run(self, command):
        """A command that has to succeed; its standard output."""
        done = subprocess.run(command, env=self.bench.peers.environment(), capture_output=True,
                              text=True)
        if done.returncode:
            raise RuntimeError(f"{command[0]} exited with {done.returncode}: "
                               f"{done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout

    def prepare(self, data):
        """Gets the data into whatever the server keeps it in."""

    def start(self, data):
        self.process = Process(self.command(data), self.bench.server_processor, self.path("log"),
                               self.environment(), self.folder)
        probe = f"{zone.owner(data.names - 1)}.{zone.ZONE}"
        self.load_s = self.process.wait_for(lambda: answers(self.port, probe), START_LIMIT_S,
                                            self.label)

    def environment(self):
        return self.bench.peers.environment()

    def command(self, data):
        raise NotImplementedError

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None


class Bare(Server):
    name = "bare loop"
    is_peer = False

    def __init__(self, bench):
        super().__init__(bench)
        del self.ports["tcp"]

    def environment(self):
        return None

    def command(self, data):
        return [self.bench.own("dns_bare"), f"127.0.0.1:{self.port}", data.zone_file, "1"]


class Idnode(Server):
    name = "idnode"
    is_peer = False

    def __init__(self, bench):
        super().__init__(bench)
        reference = self.run([bench.own("idnode"), "config", "reference"])
        dns = re.search(r"^\[dns\]$(.*?)(?=^\[|\Z)", reference, re.M | re.S)
        self.known = set(re.findall(r"^(\w+) =", dns.group(1), re.M)) if dns else set()
        for transport in ("tls", "https"):
            if f"{transport}_listen" in self.known:
                self.ports[transport] = free_port()

    def environment(self):
        return None

    def settings(self):
        """One UDP thread and no limits, as far as this idnode knows the keys."""
        wanted = {"udp_threads": 1, "rrl_responses_per_s": 0}
        for transport in ("tls", "https"):
            if transport in self.ports:
                certificate, key = self.bench.certificate()
                wanted.update({f"{transport}_listen": f"127.0.0.1:{self.ports[transport]}",
                               "tls_certificate": certificate, "tls_key": key})
        settings = [f"dns.{key}={value}" for key, value in wanted.items() if key in self.known]
        return settings + ["node.worker_threads=1"] + self.bench.idnode_settings

    def command(self, data):
        listen = [f"--{front}=127.0.0.1:0" for front in ("grpc", "http", "handle")]
        command = [self.bench.own("idnode"), "run", "--data-dir", self.path("data"),
                   f"--dns=127.0.0.1:{self.port}"] + listen
        for setting in self.settings():
            command += ["--set", setting]
        return command

    def prepare(self, data):
        self.run([self.bench.own("idnode"), "init", "--data-dir", self.path("data")])
        # Imported with both processors; measured on one, after a restart.
        log = self.path("import.log")
        node = Process(self.command(data), self.bench.both_processors, log)
        try:
            node.wait_for(lambda: '"grpc"' in node.tail(), START_LIMIT_S, "idnode")
            ports = next(line for line in node.tail().splitlines() if line.startswith("{"))
            self.idctl(json.loads(ports)["grpc"], data)
        finally:
            node.stop()

    def idctl(self, grpc, data):
        call = [self.bench.own("idctl"), "--server", f"http://{grpc}",
                "--token-file", self.path("data/operator.token"), "--json"]
        enterprise = json.loads(self.run(call + [
            "enterprise", "create", "--name", "Benchmark Motors",
            "--certificate-code", zone.CERTIFICATE_CODE]))
        owner = enterprise.get("id") or enterprise.get("enterprise", {}).get("id")
        self.run(call + ["enterprise", "review", owner, "verify"])
        self.run(call + ["prefix", "apply", zone.PREFIX, "--enterprise-id", owner])
        self.run(call + ["prefix", "start-review", zone.PREFIX])
        self.run(call + ["prefix", "approve", zone.PREFIX])
        started = time.monotonic()
        self.run(call + ["import", "--restart", data.import_file])
        self.import_s = time.monotonic() - started


class Nsd(Server):
    name = "NSD"

    def command(self, data):
        config = self.write("nsd.conf", f"""server:
  ip-address: 127.0.0.1@{self.port}
  server-count: 1
  username: ""
  zonesdir: "{self.folder}"
  database: ""
  logfile: "{self.path('nsd.log')}"
  pidfile: "{self.path('nsd.pid')}"
  xfrdfile: "{self.path('xfrd.state')}"
  zonelistfile: "{self.path('zone.list')}"
  xfrdir: "{self.folder}"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  minimal-responses: yes
  tcp-count: 1000
  verbosity: 0
remote-control:
  control-enable: no
zone:
  name: "{zone.ZONE}"
  zonefile: "{data.zone_file}"
""")
        return [self.bench.peers.program("nsd"), "-d", "-c", config]


class Knot(Server):
    name = "Knot"

    def command(self, data):
        config = self.write("knot.conf", f"""server:
    rundir: "{self.folder}"
    listen: 127.0.0.1@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-max-clients: 1000
database:
    storage: "{self.folder}"
log:
  - target: stderr
    any: warning
zone:
  - domain: {zone.ZONE}
    file: "{data.zone_file}"
    storage: "{self.folder}"
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
""")
        return [self.bench.peers.program("knotd"), "-c", config]


class Bind(Server):
    name = "BIND"

    def __init__(self, bench):
        super().__init__(bench)
        self.ports.update(tls=free_port(), https=free_port())

    def command(self, data):
        certificate, key = self.bench.certificate()
        config = self.write("named.conf", f"""tls own {{ cert-file "{certificate}"; key-file "{key}"; }};
options {{
  directory "{self.folder}";
  pid-file none;
  session-keyfile none;
  listen-on port {self.port} {{ 127.0.0.1; }};
  listen-on port {self.ports["tls"]} tls own {{ 127.0.0.1; }};
  listen-on port {self.ports["https"]} tls own http default {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  minimal-responses yes;
  dnssec-validation no;
  querylog no;
  notify no;
  tcp-clients 1000;
  allow-transfer {{ none; }};
}};
controls {{ }};
zone "{zone.ZONE}" {{ type primary; file "{data.zone_file}"; check-names ignore; }};
""")
        return [self.bench.peers.program("named"), "-f", "-n", "1", "-c", config]


class PowerDns(Server):
    name = "PowerDNS"
    # Longer than a run: what was asked once is answered from the packet cache.
    packet_cache_s = 86_400

    def settings(self):
        module = self.bench.peers.library_folder("liblmdbbackend.so")
        return f"""module-dir={module}
launch=lmdb
lmdb-filename={self.path('pdns.lmdb')}
lmdb-shards=1
lmdb-sync-mode=nosync
local-address=127.0.0.1
local-port={self.port}
socket-dir={self.folder}
receiver-threads=1
distributor-threads=1
signing-threads=1
cache-ttl={self.packet_cache_s}
max-tcp-connections=1000
max-tcp-connection-duration=0
max-tcp-transactions-per-conn=0
security-poll-suffix=
version-string=anonymous
webserver=no
api=no
loglevel=3
"""

    def prepare(self, data):
        self.write("pdns.conf", self.settings())
        started = time.monotonic()
        self.run([self.bench.peers.program("pdnsutil"), f"--config-dir={self.folder}", "load-zone",
                  zone.ZONE, data.zone_file])
        self.import_s = time.monotonic() - started

    def command(self, data):
        self.write("pdns.conf", self.settings())
        return [self.bench.peers.program("pdns_server"), f"--config-dir={self.folder}",
                "--daemon=no", "--guardian=no", "--disable-syslog"]


class PowerDnsUncached(PowerDns):
    name = "PowerDNS without packet cache"
    packet_cache_s = 0


ALL = {"bare": Bare, "idnode": Idnode, "nsd": Nsd, "knot": Knot, "bind": Bind, "pdns": PowerDns,
       "pdns-uncached": PowerDnsUncached}
