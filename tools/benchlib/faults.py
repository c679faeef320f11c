"""What the metadata log does when its leader goes, when it starts with much to read, and when many listen."""

import json
import os
import signal
import subprocess
import threading
import time

from .clusters import MEMBERS, EtcdCluster, KunlogCluster
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
        for name, fault in (("killed", killed), ("stopped", stopped), ("transferred", transferred)):
            cluster = kind(kunlog, directory)
            try:
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


def restart(arguments, kunlog, directory):
    """A member is killed and started with all events in its log, none in a snapshot."""
    # A snapshot would shorten what has to be read.
    cluster = KunlogCluster(kunlog, directory, options=["--snapshot-mb", "16384"])
    try:
        cluster.start()
        fill(cluster, arguments.events)
        leader = cluster.prepare()
        member = (leader + 1) % MEMBERS
        cluster.client("reach")
        memory = cluster.memory_bytes()
        cluster.kill_member(member)
        index = json.loads(cluster.client("reach", members=[leader]))["index"]
        begun = time.monotonic_ns()
        cluster.start_member(member)
        reached = json.loads(cluster.client("reach", "--index", index, members=[member]))
        seconds = (reached["nanoseconds"] - begun) / 1e9
        progress(f"restart with {arguments.events} events: {seconds:.2f} s")
        return {
            "events": arguments.events, "seconds": round(seconds, 3), "memory_bytes": max(memory),
            "memory_after_restart_bytes": max(cluster.memory_bytes())}
    except Failure as failure:
        progress(f"restart: {failure}")
        return {"unavailable": str(failure).split("\n")[0]}
    finally:
        cluster.stop()


def fill(cluster, events):
    """Appends so many events, 100 in each append."""
    appends = max(1, events // 100)
    report = cluster.load("--stream", operation="append", events=100, outstanding=16, total=appends)
    progress(f"{events} events written in {report['seconds']:.0f} s")


def subscribers(arguments, kunlog, directory):
    cluster = KunlogCluster(kunlog, directory)
    try:
        cluster.start()
        # So that the one who never reads has much that it does not read.
        cluster.load(operation="append", outstanding=64, seconds=3, warmup=0)
        without = json.loads(cluster.client("subscribers", "--count", 1, "--stalled", 0, "--seconds", 5))
        before = max(cluster.memory_bytes())
        count = arguments.subscribers - 1
        report = json.loads(cluster.client("subscribers", "--count", count, "--stalled", 1, "--seconds", 10))
        after = max(cluster.memory_bytes())
    finally:
        cluster.stop()
    progress(
        f"{count} subscribers and one that never reads: {report['delivered']} of {report['expected']} records delivered,"
        f" p99 {report['delivery_microseconds']['p99'] / 1000:.1f} ms")
    return {
        "with_one_subscriber": without, "with_all": report, "memory_before_bytes": before, "memory_after_bytes": after}
