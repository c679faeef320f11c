"""tools/bench meta: the metadata log beside etcd."""

import json
import os
import statistics
import subprocess
import sys
import tempfile

from . import endurance, faults, floor, meta_report
from .clusters import EtcdCluster, KunlogCluster, find_kunlog, require_etcd
from .common import Failure, command_line, machine, now, progress, require_disk, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEVELS = (1, 64, 1000)
SECTIONS = ("throughput", "rate", "batches", "syncs", "failover", "restart", "snapshots", "subscribers", "steady")


def add_arguments(commands):
    meta = commands.add_parser("meta", help="appends, reads and faults of the metadata log")
    meta.add_argument("--against", choices=["etcd"], required=True, help="what to compare with")
    meta.add_argument("--sections", default=",".join(SECTIONS), help=f"what to measure ({','.join(SECTIONS)})")
    meta.add_argument("--rounds", type=int, default=3, help="rounds per side, alternating (3)")
    meta.add_argument("--duration", type=float, default=4.0, help="seconds of each measurement (4)")
    meta.add_argument("--warmup", type=float, default=1.0, help="seconds before each measurement (1)")
    meta.add_argument("--tries", type=int, default=50, help="tries of each fault, of etcd a fifth (50)")
    meta.add_argument("--events", type=int, default=1_000_000, help="events of the restart (1,000,000)")
    meta.add_argument("--tables", type=int, default=50_000, help="tables of a large catalog, each with a key (50,000)")
    meta.add_argument("--steady", type=int, default=600, help="seconds of full load in which nobody may campaign (600)")
    meta.add_argument("--subscribers", type=int, default=1000, help="subscribers, one of which never reads (1,000)")
    meta.add_argument("--value-bytes", type=int, default=256, help="bytes of a value (256)")
    meta.add_argument("--kunlog", help="the executable (.build/release/kunlog)")
    meta.add_argument("--scratch", default="/var/tmp", help="where the servers' data live, on a disk (/var/tmp)")
    meta.add_argument("--plot", help="write a plot of throughput and latency to this SVG file")
    meta.add_argument("--report", help="write the tables to this Markdown file, between its markers, the plot beside it")
    meta.add_argument("--json", action="store_true", help="print one JSON document")
    meta.set_defaults(run=main)


def check_arguments(parser, arguments):
    arguments.sections = arguments.sections.split(",")
    unknown = [name for name in arguments.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {unknown[0]}; there are {', '.join(SECTIONS)}")
    counts = (
        arguments.rounds, arguments.tries, arguments.events, arguments.tables, arguments.steady, arguments.subscribers - 1,
        arguments.value_bytes)
    if min(counts) < 1:
        parser.error(
            "--rounds, --tries, --events, --tables, --steady, --value-bytes must be at least 1, --subscribers at least 2")
    if arguments.duration < 0.1 or arguments.warmup < 0:
        parser.error("--duration is at least 0.1, --warmup at least 0")


def main(arguments):
    require_etcd()
    kunlog = find_kunlog(arguments.kunlog, ROOT)
    document = {
        "benchmark": "meta", "against": "etcd", "date": now(), "command": command_line(), "machine": machine(),
        "commit": commit(), "value_bytes": arguments.value_bytes, "transport": "gRPC over mutual TLS, both systems",
    }
    with tempfile.TemporaryDirectory(prefix="kunlog-bench-", dir=arguments.scratch) as directory:
        document["machine"]["file_system"] = require_disk(directory)
        if needs(arguments, "throughput", "rate", "batches", "syncs"):
            document.update(compare(arguments, kunlog, directory))
        for section, measure in (
                ("failover", faults.failover), ("restart", endurance.restart), ("snapshots", endurance.snapshots),
                ("subscribers", endurance.subscribers), ("steady", endurance.steady)):
            if needs(arguments, section):
                document[section] = measure(arguments, kunlog, directory)
    if arguments.report and not arguments.plot:
        arguments.plot = os.path.splitext(arguments.report)[0] + ".svg"
    if arguments.plot and "rounds" in document:
        with open(arguments.plot, "w", encoding="utf-8") as file:
            file.write(meta_report.plot(document))
    if arguments.report:
        meta_report.write(document, arguments.report, arguments.plot)
    if arguments.json:
        json.dump(document, sys.stdout, indent=2)
        print()
    else:
        print(meta_report.table(document))


def needs(arguments, *sections):
    return any(section in arguments.sections for section in sections)


def commit():
    """What was measured, as far as the tree knows it."""
    try:
        return run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]).strip()
    except (Failure, OSError):
        return "unknown"


def compare(arguments, kunlog, directory):
    """Both systems side by side; the one that is not measured idles."""
    clusters = [KunlogCluster(kunlog, directory), EtcdCluster(kunlog, directory)]
    result = {}
    try:
        for cluster in clusters:
            progress(f"starting {cluster.title} …")
            cluster.start()
        result["versions"] = {cluster.system: cluster.version() for cluster in clusters}
        if needs(arguments, "throughput"):
            result.update(throughput(arguments, clusters, directory))
        if needs(arguments, "rate"):
            result["same_rate"] = same_rate(arguments, clusters, result.get("systems"))
        if needs(arguments, "batches"):
            result["batches"] = batches(arguments, clusters[0])
            if "ratios" in result:
                for level in LEVELS:
                    ours = result["batches"][f"one stream, {level:,} outstanding"]["events_per_second"]
                    theirs = result["systems"]["etcd"][f"append_{level}"]["per_second"]
                    result["ratios"][f"append_streamed_throughput_{level}"] = round(ours / theirs, 3)
        if needs(arguments, "syncs"):
            result["synchronizations"] = {c.system: synchronizations(arguments, c) for c in clusters}
    finally:
        for cluster in clusters:
            cluster.stop()
    return result


def throughput(arguments, clusters, directory):
    rounds = []
    for number in range(1, arguments.rounds + 1):
        one = {"floor": {
            "fdatasync_microseconds": floor.fdatasync(directory),
            "fdatasync_of_three_microseconds": floor.fdatasync(directory, files=3)}}
        for cluster in clusters:
            one[cluster.system] = {}
            for operation, outstanding in [("ping", 1)] + [("append", n) for n in LEVELS] + [("read", LEVELS[-1])]:
                report = cluster.load(
                    operation=operation, outstanding=outstanding, value_bytes=arguments.value_bytes,
                    seconds=arguments.duration if operation != "ping" else 1, warmup=arguments.warmup)
                one[cluster.system][f"{operation}_{outstanding}"] = report
                latency = report["latency_microseconds"]
                progress(
                    f"round {number}: {cluster.system:6} {operation:6} {outstanding:5} outstanding"
                    f" {report['per_second']:9.0f}/s   p50 {latency['p50']:9.0f} µs   p99 {latency['p99']:9.0f} µs")
        rounds.append(one)
    systems = {cluster.system: medians([one[cluster.system] for one in rounds]) for cluster in clusters}
    floors = {
        name: statistics.median(one["floor"][name]["p50"] for one in rounds) for name in rounds[0]["floor"]}
    return {"rounds": rounds, "systems": systems, "floor": floors, "ratios": ratios(systems)}


def medians(rounds):
    """Of each figure of each measurement."""
    result = {}
    for name in rounds[0]:
        reports = [one[name] for one in rounds]

        def median(of):
            return statistics.median(of(report) for report in reports)
        result[name] = {
            "per_second": round(median(lambda r: r["per_second"]), 1),
            "latency_microseconds": {
                key: round(median(lambda r: r["latency_microseconds"][key]), 1)
                for key in ("mean", "p50", "p99", "p999")},
            "server_seconds_per_1000": round(median(lambda r: 1000 * r["server_seconds"] / r["completed"]), 4),
            "client_seconds_per_1000": round(median(lambda r: 1000 * r["client_seconds"] / r["completed"]), 4),
        }
    return result


def ratios(systems):
    """Kunlog over etcd."""
    ours, theirs = systems["kunlog"], systems["etcd"]

    def rate(name):
        return round(ours[name]["per_second"] / theirs[name]["per_second"], 3)
    result = {f"append_throughput_{level}": rate(f"append_{level}") for level in LEVELS}
    result["append_p50_1"] = round(
        ours["append_1"]["latency_microseconds"]["p50"] / theirs["append_1"]["latency_microseconds"]["p50"], 3)
    result[f"read_throughput_{LEVELS[-1]}"] = rate(f"read_{LEVELS[-1]}")
    return result


def same_rate(arguments, clusters, systems):
    """Latencies where both are offered what etcd can carry: half of its throughput with 64 outstanding."""
    if systems:
        rate = int(systems["etcd"]["append_64"]["per_second"] * 0.5)
    else:
        report = clusters[1].load(operation="append", outstanding=64, seconds=arguments.duration)
        rate = int(report["per_second"] * 0.5)
    rounds = {cluster.system: [] for cluster in clusters}
    for _ in range(arguments.rounds):
        for cluster in clusters:
            rounds[cluster.system].append(cluster.load(
                operation="append", rate=rate, value_bytes=arguments.value_bytes, seconds=arguments.duration,
                warmup=arguments.warmup)["latency_microseconds"])
    result = {"offered_per_second": rate}
    for system, reports in rounds.items():
        result[system] = {
            key: round(statistics.median(one[key] for one in reports), 1) for key in ("p50", "p99", "p999")}
        progress(f"at {rate}/s: {system:6} p50 {result[system]['p50']:.0f} µs, p99 {result[system]['p99']:.0f} µs")
    return result


def batches(arguments, cluster):
    """Appends on one stream, and many events in one append: of these etcd has no counterpart."""
    cases = {
        "one stream, 1 outstanding": dict(outstanding=1, events=1),
        "one stream, 64 outstanding": dict(outstanding=64, events=1),
        "one stream, 1,000 outstanding": dict(outstanding=1000, events=1),
        "one stream, 16 outstanding, 100 events each": dict(outstanding=16, events=100),
    }
    result = {}
    for name, case in cases.items():
        reports = [
            cluster.load(
                "--stream", operation="append", value_bytes=arguments.value_bytes, seconds=arguments.duration,
                warmup=arguments.warmup, **case)
            for _ in range(arguments.rounds)]
        latency = {
            key: round(statistics.median(one["latency_microseconds"][key] for one in reports), 1)
            for key in ("p50", "p99", "p999")}
        rate = statistics.median(one["per_second"] for one in reports) * case["events"]
        events = [one["completed"] * case["events"] for one in reports]
        result[name] = {
            "events_per_second": round(rate), "latency_microseconds": latency,
            "server_seconds_per_1000_events": round(statistics.median(
                1000 * one["server_seconds"] / count for one, count in zip(reports, events)), 4)}
        progress(f"{name}: {rate:,.0f} events/s")
    return result


def synchronizations(arguments, cluster):
    """fdatasync calls of the three servers per append, counted by the kernel (needs perf and the right to trace)."""
    events = ("syscalls:sys_enter_fdatasync", "syscalls:sys_enter_fsync")
    counter = ["perf", "stat", "-x", ";"]
    for event in events:
        counter += ["-e", event]
    pids = ",".join(map(str, cluster.pids()))
    client = cluster.client_command(
        "load", "--operation", "append", "--outstanding", LEVELS[-1], "--value-bytes", arguments.value_bytes,
        "--seconds", 2, "--warmup", 0)
    try:
        result = subprocess.run(
            counter + ["-p", pids, "--"] + client, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    except OSError:
        return {"unavailable": "perf is missing: apt-get install linux-perf"}
    counts = [line.split(";") for line in result.stderr.splitlines() if "sys_enter" in line]
    if result.returncode != 0 or not counts or not all(fields[0].isdigit() for fields in counts):
        return {"unavailable": "perf may not count system calls here"}
    completed = json.loads(result.stdout)["completed"]
    calls = sum(int(fields[0]) for fields in counts)
    return {"calls": calls, "appends": completed, "calls_per_append": round(calls / completed, 4)}
