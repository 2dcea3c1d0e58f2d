"""The servers: how each gets the data and is started, limits off, one thread, no log of queries."""

import os
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

    def cpu_s(self):
        """Processor seconds that its processes have used so far."""
        return self.process.cpu_s() if self.process else 0.0

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


class Nsd(Server):
    name = "NSD"

    def __init__(self, bench):
        super().__init__(bench)
        self.ports["tls"] = free_port()

    def command(self, data):
        certificate, key = self.bench.certificate()
        config = self.write("nsd.conf", f"""server:
  ip-address: 127.0.0.1@{self.port}
  ip-address: 127.0.0.1@{self.ports["tls"]}
  tls-port: {self.ports["tls"]}
  tls-service-key: "{key}"
  tls-service-pem: "{certificate}"
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
    # Where the data is kept from one run to the next.
    database = None

    def settings(self):
        module = self.bench.peers.library_folder("liblmdbbackend.so")
        return f"""module-dir={module}
launch=lmdb
lmdb-filename={self.database}
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
        """The database is the fastest way in: one transaction, not synced, keys in order."""
        store = data.store("pdns")
        self.database = os.path.join(store, "pdns.lmdb")
        self.write("pdns.conf", self.settings())
        done = os.path.join(store, "import-seconds")
        if not os.path.exists(done):
            # What an import has left that was cut off.
            for name in os.listdir(store):
                os.unlink(os.path.join(store, name))
            started = time.monotonic()
            self.run([self.bench.peers.program("pdnsutil"), f"--config-dir={self.folder}",
                      "load-zone", zone.ZONE, data.zone_file])
            with open(done, "w") as out:
                out.write(str(time.monotonic() - started))
            data.imported("zone")
        with open(done) as seconds:
            self.import_s = float(seconds.read())

    def command(self, data):
        self.write("pdns.conf", self.settings())
        return [self.bench.peers.program("pdns_server"), f"--config-dir={self.folder}",
                "--daemon=no", "--guardian=no", "--disable-syslog"]


class PowerDnsUncached(PowerDns):
    name = "PowerDNS without packet cache"
    packet_cache_s = 0


ALL = {"bare": Bare, "nsd": Nsd, "knot": Knot, "bind": Bind, "pdns": PowerDns,
       "pdns-uncached": PowerDnsUncached}
