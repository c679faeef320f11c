"""How long the metadata log takes no appends when its leader, or the leader's disk, goes."""

import signal
import subprocess
import threading
import time

from .clusters import MEMBERS, EtcdCluster, KunlogCluster
from .disks import MemberDisks
from .common import Failure, percentile, progress


class Probe:
    """The client that appends at every member each millisecond, and what it has seen acknowledged."""

    def __init__(self, cluster):
        self.process = subprocess.Popen(
            cluster.client_command("probe"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # (ended, begun, member), in nanoseconds of the monotonic clock, by the order of their ends.
        self.acknowledged = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            _, member, begun, ended = line.split()
            self.acknowledged.append((int(ended), int(begun), int(member)))

    def first_after(self, moment, timeout=15.0):
        """When the first append that was begun after a moment was acknowledged."""
        deadline = time.monotonic() + timeout
        position = max(0, len(self.acknowledged) - 1)
        while time.monotonic() < deadline:
            while position < len(self.acknowledged):
                ended, begun, _ = self.acknowledged[position]
                if begun > moment:
                    return ended
                position += 1
            time.sleep(0.002)
        raise Failure("no append was acknowledged within 15 s of the fault")

    def longest_gap(self, start, end):
        """Nanoseconds between two acknowledgements that follow each other, at most, within a time."""
        times = sorted(ended for ended, _, _ in list(self.acknowledged) if ended >= start)
        times = [start] + [one for one in times if one <= end] + [end]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def leader(self):
        """The member that acknowledged last: of Kunlog, the leader."""
        return self.acknowledged[-1][2] if self.acknowledged else None

    def forget(self):
        del self.acknowledged[:]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def failover(arguments, kunlog, directory):
    result = {}
    for kind in (KunlogCluster, EtcdCluster):
        result[kind.system] = {}
        for name, fault in FAULTS.items():
            # etcd's leader goes on sending heartbeats while its disk hangs: there is no end to measure.
            if fault is disk_stalled and kind is EtcdCluster:
                continue
            cluster = kind(kunlog, directory)
            try:
                if fault is disk_stalled:
                    cluster.disks = MemberDisks(cluster.directory, cluster.names)
                cluster.start()
                # etcd's take seconds each, and are there to compare with.
                count = arguments.tries if kind is KunlogCluster else max(1, arguments.tries // 5)
                times = tries(count, cluster, fault)
            except Failure as failure:
                progress(f"{cluster.title}, leader {name}: {failure}")
                result[kind.system][name] = {"unavailable": str(failure).split("\n")[0]}
                continue
            finally:
                cluster.stop()
            result[kind.system][name] = {
                "tries": len(times), "p50": round(percentile(times, 0.5), 1), "p99": round(percentile(times, 0.99), 1),
                "maximum": round(times[-1], 1)}
            progress(
                f"{cluster.title}, leader {name}: p50 {percentile(times, 0.5):.1f} ms,"
                f" p99 {percentile(times, 0.99):.1f} ms of {len(times)} tries")
    return result


def tries(count, cluster, fault):
    """Milliseconds until the next acknowledged append, ascending."""
    times = []
    probe = Probe(cluster)
    try:
        for _ in range(count):
            leader = cluster.prepare()
            time.sleep(0.5)
            times.append(fault(cluster, probe, leader) / 1e6)
            probe.forget()
    finally:
        probe.close()
    return sorted(times)


def killed(cluster, probe, leader):
    moment = time.monotonic_ns()
    cluster.signal_member(leader, signal.SIGKILL)
    waited = probe.first_after(moment) - moment
    cluster.kill_member(leader)
    cluster.start_member(leader)
    cluster.client("reach", timeout=90)
    return waited


def stopped(cluster, probe, leader):
    moment = time.monotonic_ns()
    cluster.signal_member(leader, signal.SIGSTOP)
    try:
        waited = probe.first_after(moment) - moment
    finally:
        cluster.signal_member(leader, signal.SIGCONT)
    time.sleep(0.3)
    cluster.client("reach", timeout=90)
    return waited


def transferred(cluster, probe, leader):
    """The longest time without acknowledgement around a transfer: the command itself takes a while to start."""
    moment = time.monotonic_ns()
    cluster.transfer(leader, (leader + 1) % MEMBERS)
    time.sleep(0.5)
    return probe.longest_gap(moment, time.monotonic_ns())


def disk_stalled(cluster, probe, leader):
    """The longest time without acknowledgement while the leader's disk takes nothing for two seconds."""
    moment = time.monotonic_ns()
    with cluster.disks.frozen(leader):
        time.sleep(2)
    waited = probe.longest_gap(moment, time.monotonic_ns())
    cluster.client("reach", timeout=90)
    return waited


FAULTS = {"killed": killed, "stopped": stopped, "transferred": transferred, "disk_stalled": disk_stalled}
