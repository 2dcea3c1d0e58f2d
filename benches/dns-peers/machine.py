"""The machine: what a reader of the figures has to know of it, and what else ran on it."""

import os
import platform
import resource
import time

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# What others may use of one processor before it is said, as a share of it.
OTHERS_LIMIT = 0.05
# The load average before anything was started above which a warning is printed.
LOAD_LIMIT = 0.5


def processor():
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown processor"


def description():
    with open("/proc/meminfo") as meminfo:
        memory_gib = int(meminfo.readline().split()[1]) / 2**20
    return (f"{processor()}, {os.cpu_count()} processors, {memory_gib:.0f} GiB, "
            f"Linux {platform.release()}")


def busy_s():
    """Processor seconds used by anybody, and taken away by a hypervisor, since the start."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(
            int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq) / TICKS_PER_S, steal / TICKS_PER_S


def children_s():
    """Processor seconds of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + own.ru_utime + own.ru_stime


class Others:
    """What other programs used of the processors while something was measured."""

    def __init__(self):
        self.load_before = os.getloadavg()[0]
        self.wall_s = self.others_s = self.stolen_s = 0.0

    def watch(self, servers, measure):
        """Calls `measure`; what neither the servers nor this process's ended children have
        used meanwhile is others'."""
        started = time.monotonic()
        busy, stolen = busy_s()
        own = children_s() + sum(server.cpu_s() for server in servers)
        result = measure()
        own = children_s() + sum(server.cpu_s() for server in servers) - own
        busy_after, stolen_after = busy_s()
        self.wall_s += time.monotonic() - started
        self.others_s += max(busy_after - busy - own, 0.0)
        self.stolen_s += stolen_after - stolen
        return result

    def share(self):
        """Processors that others had in use, on average."""
        return self.others_s / self.wall_s if self.wall_s else 0.0

    def stolen(self):
        return self.stolen_s / self.wall_s if self.wall_s else 0.0

    def text(self):
        before = f"load average before {self.load_before:.2f}"
        if not self.wall_s:
            return before
        return (f"{before}; while measured other programs used {self.share():.0%} of a processor, "
                f"the hypervisor {self.stolen():.0%}")

    def warnings(self):
        """What makes the figures doubtful."""
        found = []
        if self.load_before > LOAD_LIMIT:
            found.append(f"the load average was {self.load_before:.2f} before anything started")
        if self.share() > OTHERS_LIMIT:
            found.append(f"other programs used {self.share():.0%} of a processor meanwhile")
        if self.stolen() > OTHERS_LIMIT:
            found.append(f"the hypervisor took {self.stolen():.0%} of a processor away")
        return found
