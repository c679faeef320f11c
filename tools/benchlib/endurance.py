"""What the metadata log does with much to read at its start, while snapshots are taken, when many listen, and for long."""

import json
import os
import statistics
import time

from .clusters import MEMBERS, KunlogCluster
from .common import Failure, progress


def restart(arguments, kunlog, directory):
    """A member is killed and started with all events in its log, none in a snapshot."""
    # A snapshot would shorten what has to be read.
    cluster = KunlogCluster(kunlog, directory, options=["--snapshot-mb", "16384"])
    try:
        cluster.start()
        catalog(cluster, arguments.tables)
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
            "events": arguments.events, "tables": arguments.tables, "seconds": round(seconds, 3),
            "memory_bytes": max(memory), "memory_after_restart_bytes": max(cluster.memory_bytes())}
    except Failure as failure:
        progress(f"restart: {failure}")
        return {"unavailable": str(failure).split("\n")[0]}
    finally:
        cluster.stop()


def catalog(cluster, tables):
    """Makes so many tables, each with a key: two objects and a tablet."""
    begun = time.monotonic()
    cluster.client("catalog", "--tables", tables)
    progress(f"{tables} tables made in {time.monotonic() - begun:.0f} s")


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


def snapshots(arguments, kunlog, directory):
    """Latencies at the same offered rate, without snapshots and with one after each 8 MB of log, of a large catalog."""
    rounds = {"without": [], "with": []}
    taken = rate = 0
    for number in range(arguments.rounds):
        for name, megabytes in (("without", 16384), ("with", 8)):
            cluster = KunlogCluster(kunlog, directory, options=["--snapshot-mb", str(megabytes)])
            try:
                cluster.start()
                catalog(cluster, arguments.tables)
                leader = cluster.prepare()
                if not rate:
                    rate = int(cluster.load(operation="append", outstanding=64, seconds=2)["per_second"] * 0.5)
                files = [snapshot_index(cluster, leader)]
                for _ in range(3):
                    rounds[name].append(cluster.load(
                        operation="append", rate=rate, value_bytes=arguments.value_bytes, seconds=arguments.duration,
                        warmup=arguments.warmup)["latency_microseconds"])
                    files.append(snapshot_index(cluster, leader))
                if name == "with":
                    taken += len(set(files)) - 1
                    if len(set(files)) == 1:
                        raise Failure("the load was too small for a single snapshot")
            finally:
                cluster.stop()
        without, with_snapshots = (rounds[name][-1]["p99"] for name in ("without", "with"))
        progress(f"round {number + 1}: p99 {without:.0f} µs without snapshots, {with_snapshots:.0f} µs with")
    result = {"offered_per_second": rate, "tables": arguments.tables, "newer_snapshots_seen": taken}
    for name, reports in rounds.items():
        result[name] = {
            key: round(statistics.median(one[key] for one in reports), 1) for key in ("p50", "p99", "p999")}
    return result


def snapshot_index(cluster, member):
    """Which snapshot a member has now."""
    names = []
    for _, _, files in os.walk(cluster.data(member)):
        names += [name for name in files if name.endswith(".snapshot")]
    return tuple(sorted(names))


def steady(arguments, kunlog, directory):
    """Full load without a fault: no election."""
    cluster = KunlogCluster(kunlog, directory)
    try:
        cluster.start()
        term = json.loads(cluster.client("reach"))["term"]
        report = cluster.load(operation="append", outstanding=1000, seconds=arguments.steady)
        later = json.loads(cluster.client("reach"))["term"]
        memory = max(cluster.memory_bytes())
    finally:
        cluster.stop()
    progress(f"{arguments.steady} s of full load: {report['per_second']:.0f}/s, term {term}, then {later}")
    return {
        "seconds": arguments.steady, "per_second": report["per_second"], "completed": report["completed"],
        "failed": report["failed"], "terms_passed": later - term, "memory_bytes": memory}
