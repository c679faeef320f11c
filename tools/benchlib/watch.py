"""tools/bench watch: subscribers of the metadata log beside watchers of etcd."""

import json
import os
import resource
import statistics
import subprocess
import tempfile

from . import watch_report
from .clusters import EtcdCluster, KunlogCluster, find_kunlog, require_etcd
from .common import command_line, machine, now, progress, require_disk, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECTIONS = ("load", "connections", "stalled", "idle")


def add_arguments(commands):
    watch = commands.add_parser("watch", help="many subscribers of the metadata log")
    watch.add_argument("--against", choices=["etcd"], required=True, help="what to compare with")
    watch.add_argument("--sections", default=",".join(SECTIONS), help=f"what to measure ({','.join(SECTIONS)})")
    watch.add_argument("--members", type=int, default=1, help="servers of each cluster; one serves all subscribers (1)")
    watch.add_argument("--subscribers", type=int, default=1000, help="subscribers (1,000)")
    watch.add_argument("--connections", type=int, default=100, help="connections that they share (100)")
    watch.add_argument("--idle", type=int, default=4000, help="idle subscribers of which the memory is measured (4,000)")
    watch.add_argument("--rate", type=int, default=1000, help="records per second (1,000)")
    watch.add_argument("--value-bytes", type=int, default=100, help="bytes of a record's value (100)")
    watch.add_argument("--rounds", type=int, default=3, help="rounds per side, alternating (3)")
    watch.add_argument("--duration", type=float, default=8.0, help="seconds of each measurement (8)")
    watch.add_argument("--kunlog", help="the executable (.build/release/kunlog)")
    watch.add_argument("--scratch", help="a directory on the disk to be measured (the system's temporary directory)")
    watch.add_argument("--report", help="also put the tables into this Markdown file")
    watch.add_argument("--json", action="store_true", help="print one JSON document")
    watch.set_defaults(run=benchmark)


def check_arguments(parser, arguments):
    if min(arguments.subscribers, arguments.connections, arguments.rate, arguments.rounds, arguments.value_bytes,
           arguments.idle, arguments.members) < 1 or arguments.duration <= 0:
        parser.error("every number must be at least 1")
    if arguments.connections > arguments.subscribers:
        parser.error("--connections is at most --subscribers")
    unknown = set(arguments.sections.split(",")) - set(SECTIONS)
    if unknown:
        parser.error(f"--sections knows no {', '.join(sorted(unknown))}")


def benchmark(arguments):
    require_etcd()
    kunlog = find_kunlog(arguments.kunlog, ROOT)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="kunlog-bench-", dir=arguments.scratch) as directory:
        file_system = require_disk(directory)
        document = {
            "date": now(), "commit": commit(), "command": command_line(), "machine": machine() | {"file_system": file_system},
            "members": arguments.members, "subscribers": arguments.subscribers, "connections": arguments.connections,
            "rate": arguments.rate, "value_bytes": arguments.value_bytes, "rounds": arguments.rounds,
            "duration": arguments.duration, "versions": {}}
        measure(arguments, kunlog, directory, document)
    if arguments.report:
        watch_report.write(document, arguments.report)
    print(json.dumps(document, indent=1) if arguments.json else watch_report.table(document))


def commit():
    try:
        return subprocess.run(
            ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def measure(arguments, kunlog, directory, document):
    sections = arguments.sections.split(",")
    kinds = (KunlogCluster, EtcdCluster)
    if "load" in sections:
        document["load"] = alternating(arguments, kinds, kunlog, directory, document)
    if "connections" in sections:
        document["connection_each"] = alternating(
            arguments, kinds, kunlog, directory, document, connections=arguments.subscribers)
    if "stalled" in sections:
        document["stalled"] = alternating(arguments, kinds, kunlog, directory, document, stalled=1)
    if "idle" in sections:
        document["idle"] = {
            name: {
                kind.system: one_run(
                    arguments, kind, kunlog, directory, document, count=arguments.idle, connections=connections, rate=0,
                    seconds=1, warmup=3)
                for kind in kinds}
            for name, connections in (("shared", max(1, arguments.idle // 10)), ("own", arguments.idle))}


def alternating(arguments, kinds, kunlog, directory, document, **options):
    """Rounds in turn, a fresh server for each; of the rounds the median counts."""
    rounds = {kind.system: [] for kind in kinds}
    for _ in range(arguments.rounds):
        for kind in kinds:
            rounds[kind.system].append(one_run(arguments, kind, kunlog, directory, document, **options))
    return {system: median(reports) for system, reports in rounds.items()}


def one_run(arguments, kind, kunlog, directory, document, count=None, connections=None, rate=None, stalled=0,
            seconds=None, warmup=2):
    count = count or arguments.subscribers
    connections = min(connections or arguments.connections, count)
    rate = arguments.rate if rate is None else rate
    cluster = kind(kunlog, directory, members=arguments.members)
    try:
        cluster.start()
        document["versions"][kind.system] = cluster.version()
        certificate, key = cluster.certificate("client")
        leader = cluster.prepare()
        report = json.loads(run([
            kunlog, "bench", "watch", "--system", cluster.system, "--endpoints", cluster.endpoints(),
            "--certificate", certificate, "--key", key, "--authority", cluster.authority,
            "--count", str(count), "--connections", str(connections), "--stalled", str(stalled), "--rate", str(rate),
            "--value-bytes", str(arguments.value_bytes), "--seconds", str(seconds or arguments.duration),
            "--warmup", str(warmup), "--process", str(cluster.processes[leader].pid)], timeout=300))
    finally:
        cluster.stop()
    lag = report["lag_microseconds"]
    progress(
        f"{cluster.system:6} {count} subscribers, {connections} connections, {stalled} stalled: {report['delivered']:,} of"
        f" {report['expected']:,}, lag p50 {lag['p50'] / 1000:.1f} ms, p99 {lag['p99'] / 1000:.1f} ms; server"
        f" {report['server_seconds'] / report['seconds']:.2f} cores,"
        f" {(report['memory_idle_bytes'] - report['memory_before_bytes']) / count / 1024:.1f} KiB per idle subscriber"
        + (f"; failed: {report['failure']}" if report["failed_subscriptions"] else ""))
    return report


def median(reports):
    """Of each figure the median of the rounds."""
    first = reports[0]
    result = {}
    for name, value in first.items():
        values = [report[name] for report in reports if name in report]
        if isinstance(value, dict):
            result[name] = median(values)
        elif isinstance(value, (int, float)):
            result[name] = statistics.median(values)
        else:
            result[name] = value
    for report in reports:
        if report.get("failure"):
            result["failure"] = report["failure"]
    return result
