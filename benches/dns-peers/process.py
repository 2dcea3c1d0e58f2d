"""Processes under test: started on a processor of their own, looked at through /proc, ended."""

import os
import signal
import socket
import struct
import subprocess
import time


def free_port():
    """A port that is free for UDP and TCP at 127.0.0.1."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
    raise RuntimeError("no port is free")


def query(name, kind):
    """A query for a name without escapes, as on the wire."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack(">HHHHHH", 7, 0, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1)


def answers(port, name, kind=35):
    """Whether a server answers with at least one record."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.2)
        try:
            udp.connect(("127.0.0.1", port))
            udp.send(query(name, kind))
            answer = udp.recv(4096)
        except OSError:
            return False
    flags, _, records = struct.unpack(">HHH", answer[2:8])
    return flags & 15 == 0 and records > 0


class Process:
    """A program pinned to a processor, with its output in a file."""

    def __init__(self, command, processor, log, environment=None, folder=None,
                 own_session=True):
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                ["taskset", "-c", str(processor)] + command, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, env=environment, cwd=folder, start_new_session=own_session)
        self.pid = self.child.pid

    def wait_for(self, condition, limit_s, what):
        """Seconds until the condition holds."""
        started = time.monotonic()
        while not condition():
            if self.child.poll() is not None:
                raise RuntimeError(f"{what} ended with {self.child.returncode}: {self.tail()}")
            if time.monotonic() - started > limit_s:
                raise RuntimeError(f"{what} is not ready after {limit_s} s: {self.tail()}")
            time.sleep(0.005)
        return time.monotonic() - started

    def tail(self):
        with open(self.log, errors="replace") as log:
            return log.read()[-2000:]

    def head(self):
        with open(self.log, errors="replace") as log:
            return log.read(4000)

    def peak_mb(self):
        """The most memory the process itself has had (VmHWM), in 10^6 bytes."""
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) for line in status
                        if line.startswith("VmHWM:")) * 1024 / 1e6

    def family(self):
        """The process and its descendants."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as stat:
                        parents[int(entry)] = int(stat.read().rsplit(")", 1)[1].split()[1])
                except OSError:
                    continue
        family = {self.pid}
        while True:
            more = {pid for pid, parent in parents.items() if parent in family} - family
            if not more:
                return family
            family |= more

    def cpu_s(self):
        """Processor seconds that the family has used, in hundredths."""
        ticks = 0
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    ticks += sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))
            except OSError:
                continue
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self):
        """Ends the process as a loss of power would end it: nothing is told to it."""
        self.child.kill()
        self.child.wait()

    def resident_mb(self):
        """Memory of the family, pages that several share counted once (Pss), in 10^6 bytes."""
        total_kib = 0
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as rollup:
                    total_kib += sum(int(line.split()[1]) for line in rollup
                                     if line.startswith("Pss:"))
            except OSError:
                continue
        return total_kib * 1024 / 1e6

    def stop(self):
        """Ends the family, in good order if it goes."""
        if self.child.poll() is not None:
            return
        family = self.family()
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            pass
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.child.wait()
