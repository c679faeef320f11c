"""tools/bench txn: reads and transactions over two shards, beside MariaDB Spider and one PostgreSQL."""

import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from . import txn_report
from .clusters import end_with_parent, find_kunlog
from .common import Failure, bar, check_choices, command_line, machine, now, percentile, progress, require_disk, run
from .libpq import Connection
from .sharded import Kunlog, PostgreSQL, START_BALANCE, quick_start, require_mariadb, spider
from .sql import Database, newest_postgresql, scratch_postgresql
from .watch import ROOT, commit

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "txn.lua")
PEERS = ("mariadb-spider", "postgresql")
SECTIONS = ("load", "visible", "doubt")
# Name, sysbench's workload, what each system's connections run first; None: not of this system.
WORKLOADS = (
    ("read", "read", {}),
    ("update", "update", {}),
    ("one_shard", "one-shard", {}),
    ("two_shards", "two-shards", {"spider": "SET spider_internal_xa = 1"}),
    ("read_both", "read-both", {}),
    ("read_both_snapshot", "read-both", {
        "kunlog": "SET kunlog.snapshot = 'cluster'", "spider": None, "postgresql": None}),
)


def add_arguments(commands):
    txn = commands.add_parser("txn", help="point reads, updates, transactions over two shards")
    txn.add_argument("--against", default=",".join(PEERS), help=f"what to compare with ({','.join(PEERS)})")
    txn.add_argument("--sections", default=",".join(SECTIONS), help=f"what to measure ({','.join(SECTIONS)})")
    txn.add_argument("--workloads", default=",".join(one[0] for one in WORKLOADS), help="which loads (all)")
    txn.add_argument("--connections", default="1,16", help="numbers of connections (1,16)")
    txn.add_argument("--rows", type=int, default=100_000, help="accounts on each shard (100,000)")
    txn.add_argument("--duration", type=int, default=10, help="seconds per round (10)")
    txn.add_argument("--rounds", type=int, default=3, help="rounds per side, alternating (3)")
    txn.add_argument("--commits", type=int, default=1000, help="commits whose visibility is looked at (1,000)")
    txn.add_argument("--kills", type=int, default=10, help="compute nodes that are killed amid transfers (10)")
    txn.add_argument("--kunlog", help="the executable (.build/release/kunlog)")
    txn.add_argument("--postgresql-binaries", help="directory of initdb and postgres (the newest installed)")
    txn.add_argument("--scratch", default="/var/tmp", help="where the servers live, on the disk to be measured (/var/tmp)")
    txn.add_argument("--report", help="also put the tables into this Markdown file")
    txn.add_argument("--json", action="store_true", help="print one JSON document")
    txn.set_defaults(run=benchmark)


def check_arguments(parser, arguments):
    check_choices(
        parser, (arguments.against, PEERS, "against"), (arguments.sections, SECTIONS, "sections"),
        (arguments.workloads, [one[0] for one in WORKLOADS], "workloads"))
    try:
        arguments.connection_counts = [int(count) for count in arguments.connections.split(",")]
    except ValueError:
        parser.error("--connections is a list of numbers")
    if min(arguments.connection_counts + [
            arguments.rows, arguments.duration, arguments.rounds, arguments.commits, arguments.kills]) < 1:
        parser.error("every number must be at least 1")


def benchmark(arguments):
    program = find_kunlog(arguments.kunlog, ROOT)
    for needed, package in (("sysbench", "sysbench"), ("psql", "postgresql-client")):
        if not shutil.which(needed):
            raise Failure(f"{needed} is missing: apt-get install {package}")
    peers, sections = arguments.against.split(","), arguments.sections.split(",")
    if "mariadb-spider" in peers:
        require_mariadb()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="kunlog-bench-", dir=arguments.scratch))
        # MariaDB's and PostgreSQL's users must be able to enter it.
        os.chmod(directory, 0o755)
        document = {
            "benchmark": "txn", "date": now(), "commit": commit(), "command": command_line(),
            "machine": machine() | {"file_system": require_disk(directory)}, "load_average": os.getloadavg()[0],
            "rows": arguments.rows, "duration": arguments.duration, "rounds": arguments.rounds,
            "client": run(["sysbench", "--version"]).strip()}
        data, port = stack.enter_context(quick_start(program, directory))
        kunlog = Kunlog(Database("kunlog", "127.0.0.1", port, "abc", "abc", "postgres"), program, data)
        systems = [kunlog]
        if "load" in sections and "mariadb-spider" in peers:
            systems.append(stack.enter_context(spider(directory, arguments.rows)))
        if "load" in sections and "postgresql" in peers:
            binaries = newest_postgresql(arguments.postgresql_binaries)
            systems.append(PostgreSQL(stack.enter_context(scratch_postgresql(binaries, directory))))
        for system in systems:
            progress(f"{system.title}: {2 * arguments.rows:,} accounts …")
            system.create(arguments.rows)
        document["versions"] = {system.name: system.query("SELECT version()") for system in systems}
        if "load" in sections:
            document["loads"] = loads(arguments, systems)
        if "visible" in sections:
            document["visible"] = visible(arguments, port)
        if "doubt" in sections:
            document["doubt"] = doubt(arguments, kunlog, port)
        document["bars"] = bars(document)
    if arguments.report:
        txn_report.write(document, arguments.report)
    print(json.dumps(document, indent=1) if arguments.json else txn_report.table(document))


# Loads.

def sysbench(system, workload, connections, seconds, rows, setup=""):
    return [
        "sysbench", SCRIPT, f"--db-driver={system.driver}", "--db-ps-mode=disable", *system.driver_options(),
        f"--threads={connections}", f"--time={seconds}", "--histogram=on", "--rand-type=uniform", f"--rows={rows}",
        f"--workload={workload}", f"--setup={setup}", "run"]


def measure(system, workload, connections, arguments, setup):
    """One round: events per second, latencies in milliseconds (from sysbench's histogram, whose steps are 1.8 %)."""
    output = run(
        sysbench(system, workload, connections, arguments.duration, arguments.rows, setup),
        timeout=arguments.duration + 60)
    total = re.search(r"total number of events:\s+(\d+)", output)
    seconds = re.search(r"total time:\s+([0-9.]+)s", output)
    ignored = re.search(r"ignored errors:\s+(\d+)", output)
    longest = re.search(r"max:\s+([0-9.]+)", output)
    if not total or not seconds or not longest:
        raise Failure(f"sysbench's output was not understood:\n{output}")
    buckets = [(float(value), int(count)) for value, count in re.findall(r"^ *([0-9.]+) \|\**\s+(\d+)$", output, re.M)]
    return {
        "events": int(total[1]), "ignored_errors": int(ignored[1]) if ignored else 0,
        "per_second": int(total[1]) / float(seconds[1]),
        "p50": quantile(buckets, 0.50), "p99": quantile(buckets, 0.99), "maximum": float(longest[1])}


def quantile(buckets, fraction):
    wanted, seen = fraction * sum(count for _, count in buckets), 0
    for value, count in buckets:
        seen += count
        if seen >= wanted:
            return value
    return 0.0


def loads(arguments, systems):
    expected = {system.name: 2 * arguments.rows * START_BALANCE for system in systems}
    results = []
    for name, workload, setups in WORKLOADS:
        if name not in arguments.workloads.split(","):
            continue
        for connections in arguments.connection_counts:
            rounds = {system.name: [] for system in systems if setups.get(system.name, "") is not None}
            for number in range(arguments.rounds):
                for system in systems:
                    if system.name not in rounds:
                        continue
                    one = measure(system, workload, connections, arguments, setups.get(system.name, ""))
                    rounds[system.name].append(one)
                    expected[system.name] += one["events"] if workload == "update" else 0
                    progress(
                        f"{name}, {connections} connections, round {number + 1}, {system.name}:"
                        f" {one['per_second']:,.0f}/s, p50 {one['p50']:.2f} ms, p99 {one['p99']:.2f} ms")
            results.append({
                "workload": name, "connections": connections,
                "systems": {system: summary(rounds[system]) for system in rounds}})
    for system in systems:
        # What was acknowledged must be there, no more and no less; transfers leave the total as it is.
        found = system.total()
        if found != expected[system.name]:
            raise Failure(f"{system.title}: all balances are {found}, not {expected[system.name]}")
    return results


def summary(rounds):
    def median(key):
        return round(statistics.median(one[key] for one in rounds), 3)
    return {
        **{key: median(key) for key in ("per_second", "p50", "p99", "maximum")},
        "ignored_errors": sum(one["ignored_errors"] for one in rounds), "rounds": rounds}


# When a commit is seen.

def visible(arguments, port):
    """From the answer to a commit over two shards until another compute node has answered a read of both accounts that shows it;
    beside the same read with nothing under way."""
    writer, reader = Connection(port), Connection(port + 1)
    read = f"SELECT balance FROM accounts WHERE id IN (1, {arguments.rows + 1}) ORDER BY id"
    after, quiet, stale = [], [], 0
    try:
        balances = [int(row[0]) for row in reader.execute(read)]
        for _ in range(arguments.commits):
            writer.execute("BEGIN")
            writer.execute("UPDATE accounts SET balance = balance - 1 WHERE id = 1")
            writer.execute(f"UPDATE accounts SET balance = balance + 1 WHERE id = {arguments.rows + 1}")
            writer.execute("COMMIT")
            told = time.monotonic()
            rows = [int(row[0]) for row in reader.execute(read)]
            after.append((time.monotonic() - told) * 1000)
            balances = [balances[0] - 1, balances[1] + 1]
            stale += rows != balances
            time.sleep(0.02)
            begun = time.monotonic()
            reader.execute(read)
            quiet.append((time.monotonic() - begun) * 1000)
    finally:
        writer.close()
        reader.close()
    result = {"commits": arguments.commits, "stale": stale, "after": figures(after), "quiet": figures(quiet)}
    progress(f"seen after a commit: {result['after']}, without one: {result['quiet']}, not seen: {stale}")
    return result


def figures(values):
    values = sorted(values)
    return {
        "p50": round(percentile(values, 0.50), 3), "p99": round(percentile(values, 0.99), 3),
        "maximum": round(values[-1], 3)}


# In doubt.

def doubt(arguments, kunlog, port):
    """Compute nodes are killed amid transfers: how long what they had prepared stays undecided, as another node shows it."""
    watcher = Connection(port + 1)
    tries = []
    try:
        for number in range(arguments.kills):
            tries.append(kill_amid_transfers(arguments, kunlog, watcher))
            progress(f"killed {number + 1} of {arguments.kills}: {tries[-1]}")
    finally:
        watcher.close()
    longest = sorted(one["milliseconds"] for one in tries if one["in_doubt"] > 0)
    total = kunlog.total()
    return {
        "kills": arguments.kills, "with_transactions_in_doubt": len(longest), "tries": tries, "total": total,
        "milliseconds": figures(longest) if longest else None}


def kill_amid_transfers(arguments, kunlog, watcher):
    pid = kunlog.pid("compute-1")
    load = subprocess.Popen(
        sysbench(kunlog, "two-shards", 16, 60, arguments.rows), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, preexec_fn=end_with_parent)
    try:
        time.sleep(2)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        # Names of transactions that are prepared at a shard and whose decision no shard has.
        look = "SELECT gtid FROM kunlog.transactions WHERE state = 'prepared'"
        seen, last = set(), 0.0
        while True:
            prepared = {row[0] for row in watcher.execute(look)}
            elapsed = (time.monotonic() - killed) * 1000
            seen |= prepared
            if not prepared:
                break
            last = elapsed
            if elapsed > 30_000:
                raise Failure(f"in doubt for 30 s: {sorted(prepared)}")
            time.sleep(0.002)
    finally:
        load.kill()
        load.wait()
    deadline = time.monotonic() + 30
    while kunlog.pid("compute-1") in (None, pid):
        if time.monotonic() > deadline:
            raise Failure("the compute node was not started again")
        time.sleep(0.2)
    time.sleep(1)
    return {"in_doubt": len(seen), "milliseconds": round(elapsed if seen else last, 1)}


# Bars.

def bars(document):
    """What is asked for, what was measured, and whether that is enough; None where it was not measured."""
    def figure(workload, system, key="per_second", connections=16):
        for one in document.get("loads", []):
            if one["workload"] == workload and one["connections"] == connections and system in one["systems"]:
                return one["systems"][system][key]
        return None

    def ratio(numerator, denominator):
        return round(numerator / denominator, 3) if numerator is not None and denominator else None

    result = []
    for workload, name in (("read", "point reads"), ("update", "single-row updates")):
        result.append(bar(
            f"{name}/s over PostgreSQL's, 16 connections",
            ratio(figure(workload, "kunlog"), figure(workload, "postgresql")), 0.5, True))
    for workload, name in (("read", "point reads"), ("update", "single-row updates"), ("two_shards", "transfers over two shards")):
        result.append(bar(
            f"{name}/s over Spider's, 16 connections", ratio(figure(workload, "kunlog"), figure(workload, "spider")), 5, True))
    for connections in (1, 16):
        result.append(bar(
            f"p50 of a transfer over two shards over one within a shard, {connections} connection{'s' * (connections > 1)}",
            ratio(figure("two_shards", "kunlog", "p50", connections), figure("one_shard", "kunlog", "p50", connections)),
            2, False))
    seen = document.get("visible")
    result.append(bar("a commit is seen on both shards, ms after its answer (p99)", seen and seen["after"]["p99"], 5, False))
    result.append(bar("reads after a commit's answer that did not show it", seen and seen["stale"], 0, False))
    waited = (document.get("doubt") or {}).get("milliseconds")
    result.append(bar("in doubt after the coordinator's death, ms (maximum)", waited and waited["maximum"], 1000, False))
    return result
