"""tools/bench log: what audits of a long metadata log cost, and what a large catalog costs those who follow it."""

import json
import os
import re
import resource
import tempfile
import time
import urllib.request

from . import log_report
from .clusters import KunlogCluster, find_kunlog
from .common import command_line, free_ports, machine, now, progress, require_disk, run
from .watch import ROOT, commit

SECTIONS = ("history", "routes")
TABLE_EVENTS = 3


def add_arguments(commands):
    log = commands.add_parser("log", help="audits of a long metadata log, routes of a large catalog")
    log.add_argument("--sections", default=",".join(SECTIONS), help=f"what to measure ({','.join(SECTIONS)})")
    log.add_argument("--events", type=int, default=1_000_000, help="events of the log (1,000,000)")
    log.add_argument(
        "--tables", default="0,1000,100000", help="sizes of the catalog that the log begins with (0,1000,100000)")
    log.add_argument("--value-bytes", type=int, default=100, help="bytes of a note (100)")
    log.add_argument("--images", type=int, default=50, help="images at random indexes (50)")
    log.add_argument("--proofs", type=int, default=2000, help="proofs of random records (2,000)")
    log.add_argument("--moves", type=int, default=200, help="tablets that are moved (200)")
    log.add_argument("--kunlog", help="the executable (.build/release/kunlog)")
    log.add_argument("--scratch", help="a directory on the disk to be measured (the system's temporary directory)")
    log.add_argument("--report", help="also put the tables into this Markdown file")
    log.add_argument("--json", action="store_true", help="print one JSON document")
    log.set_defaults(run=benchmark)


def check_arguments(parser, arguments):
    unknown = set(arguments.sections.split(",")) - set(SECTIONS)
    if unknown:
        parser.error(f"--sections knows no {', '.join(sorted(unknown))}")
    try:
        arguments.catalogs = [int(size) for size in arguments.tables.split(",")]
    except ValueError:
        parser.error("--tables is a list of numbers")
    if min(arguments.catalogs) < 0 or min(arguments.events, arguments.value_bytes, arguments.images, arguments.proofs,
                                          arguments.moves) < 1:
        parser.error("every number must be at least 1")
    if "history" in arguments.sections and TABLE_EVENTS * max(arguments.catalogs) >= arguments.events:
        parser.error(f"a table makes {TABLE_EVENTS} events: --events is to be more than --tables of them")


def benchmark(arguments):
    kunlog = find_kunlog(arguments.kunlog, ROOT)
    with tempfile.TemporaryDirectory(prefix="kunlog-bench-", dir=arguments.scratch) as directory:
        file_system = require_disk(directory)
        document = {
            "date": now(), "commit": commit(), "command": command_line(), "machine": machine() | {"file_system": file_system},
            "load_average": os.getloadavg()[0], "events": arguments.events, "value_bytes": arguments.value_bytes}
        sections = arguments.sections.split(",")
        if "history" in sections:
            document["history"] = [history(arguments, kunlog, directory, tables) for tables in arguments.catalogs]
        if "routes" in sections:
            document["routes"] = [
                routes(arguments, kunlog, directory, tables) for tables in arguments.catalogs if tables >= arguments.moves]
    if arguments.report:
        log_report.write(document, arguments.report)
    print(json.dumps(document, indent=1) if arguments.json else log_report.table(document))


class OneNode(KunlogCluster):
    """A meta node that keeps everything and tells its metrics."""

    def __init__(self, kunlog, directory):
        self.metrics_port = free_ports(1)[0]
        super().__init__(
            kunlog, directory, options=["--archive-mb", "all", "--metrics-port", str(self.metrics_port)], members=1)

    def mean_seconds(self, method):
        """Of the calls of a method, as the server has timed them: mean, and how many."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        def figure(kind):
            found = re.search(rf'^kunlog_rpc_request_seconds_{kind}{{[^}}]*method="{method}"[^}}]*}} (\S+)$', text, re.M)
            return float(found[1]) if found else 0.0
        return figure("sum") / max(1.0, figure("count")), int(figure("count"))

    def bucket_share(self, method, bound):
        """Which part of the calls the server has answered within a bound in seconds."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        buckets = dict(re.findall(
            rf'^kunlog_rpc_request_seconds_bucket{{(?=[^}}]*method="{method}")[^}}]*le="([^"]+)"}} (\S+)$', text, re.M))
        wanted = [count for name, count in buckets.items() if name != "+Inf" and abs(float(name) - bound) < 1e-9]
        return float(wanted[0]) / max(1.0, float(buckets["+Inf"])) if wanted else 0.0

    def credentials(self):
        certificate, key = self.certificate("client")
        return ["--endpoints", self.endpoints(), "--certificate", certificate, "--key", key, "--authority", self.authority]


def fill(cluster, tables, events, value_bytes):
    """Tables first, then notes of one event each, until there are so many events. Seconds."""
    start = time.monotonic()
    if tables:
        cluster.client("catalog", "--tables", tables)
    notes = events - TABLE_EVENTS * tables
    if notes > 0:
        cluster.load("--stream", operation="append", outstanding=1000, value_bytes=value_bytes, total=notes)
    return time.monotonic() - start


def history(arguments, kunlog, directory, tables):
    cluster = OneNode(kunlog, directory)
    try:
        cluster.start()
        seconds = fill(cluster, tables, arguments.events, arguments.value_bytes)
        progress(f"{tables:,} tables: {arguments.events:,} events in {seconds:.0f} s")
        # Images along the archive are written in the background.
        time.sleep(5)
        result = json.loads(cluster.client("history", "--images", arguments.images, "--proofs", arguments.proofs))
        result |= {"tables": tables, "events": arguments.events, "fill_seconds": seconds}
        result["prove_server_seconds"], result["prove_calls"] = cluster.mean_seconds("ProveRecord")
        result["prove_within_millisecond"] = cluster.bucket_share("ProveRecord", 0.001)
        result["memory_bytes"] = cluster.memory_bytes()[0]
        start = time.monotonic()
        run([kunlog, "log", "replay", "--into", os.path.join(directory, "replayed"), *cluster.credentials()], timeout=600)
        result["replay_seconds"] = time.monotonic() - start
        cluster.stop(keep=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = json.loads(run(
            [kunlog, "log", "verify", "--json", "--data", os.path.join(cluster.directory, cluster.names[0])], timeout=600))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Where others use the processors too, what it would take alone.
        result["verify_cpu_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        node = report["nodes"][0]
        result["verify"] = {key: node[key] for key in ("records", "bytes", "seconds")}
    finally:
        cluster.stop()
    progress(
        f"{tables:,} tables: verified in {result['verify']['seconds']:.2f} s, replayed in {result['replay_seconds']:.2f} s;"
        f" image p50 {result['image_microseconds']['p50'] / 1000:.0f} ms, slowest"
        f" {result['image_microseconds']['maximum'] / 1000:.0f} ms; proof {result['prove_server_seconds'] * 1e6:.0f} µs at the"
        f" server, p99 {result['proof_microseconds']['p99']:.0f} µs at the client")
    return result


def routes(arguments, kunlog, directory, tables):
    cluster = OneNode(kunlog, directory)
    try:
        cluster.start()
        fill(cluster, tables, 0, arguments.value_bytes)
        result = json.loads(cluster.client("routes", "--moves", arguments.moves))
    finally:
        cluster.stop()
    progress(
        f"{tables:,} tablets: a route is {result['messages']:.0f} message of {result['minimum_bytes']} to"
        f" {result['maximum_bytes']} bytes, fold p50 {result['fold_microseconds']['p50']:.1f} µs, delivery p50"
        f" {result['delivery_microseconds']['p50']:.0f} µs")
    return result
