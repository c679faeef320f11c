"""tools/bench moves: what a table that moves to another shard costs those who use it; how fast it is copied; how soon a new
shard and a new compute node can be used."""

import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

from . import catalog, moves_report
from .clusters import end_with_parent, find_kunlog
from .common import Failure, bar, check_choices, command_line, machine, now, percentile, progress, require_disk, run
from .libpq import Connection
from .sharded import Kunlog, MariaDBServer, quick_start, require_mariadb
from .sql import Database
from .watch import ROOT, commit

PEERS = ("mysqldump",)
SECTIONS = ("load", "copy", "shard", "catalog")
# Statements that came within so long of a cut count as met by it.
AROUND_SECONDS = 0.05
BUCKET_SECONDS = 0.25
ROW = "repeat('row ', 240)"
ROW_BYTES = 960


def add_arguments(commands):
    moves = commands.add_parser("moves", help="tables that move from shard to shard under load")
    moves.add_argument("--against", default=",".join(PEERS), help=f"what to compare the copy with ({','.join(PEERS)})")
    moves.add_argument("--sections", default=",".join(SECTIONS), help=f"what to measure ({','.join(SECTIONS)})")
    moves.add_argument("--connections", type=int, default=16, help="clients of the load (16)")
    moves.add_argument("--megabytes", type=int, default=1024, help="size of the table that is copied (1,024)")
    moves.add_argument("--load-megabytes", type=int, default=400, help="size of the table that moves under load (400)")
    moves.add_argument("--before", type=int, default=10, help="seconds of load before each move (10)")
    moves.add_argument("--moves", type=int, default=6, help="moves under load, there and back (6)")
    moves.add_argument("--rounds", type=int, default=2, help="rounds of the copy per side, alternating (2)")
    moves.add_argument("--tables", type=int, default=100_000, help="tables of the catalog that a new compute node serves (100,000)")
    moves.add_argument("--kunlog", help="the executable (.build/release/kunlog)")
    moves.add_argument("--scratch", default="/var/tmp", help="where the servers live, on the disk to be measured (/var/tmp)")
    moves.add_argument("--report", help="also put the tables into this Markdown file, and the curve beside it")
    moves.add_argument("--json", action="store_true", help="print one JSON document")
    moves.set_defaults(run=benchmark)


def check_arguments(parser, arguments):
    check_choices(parser, (arguments.against, ("", *PEERS), "against"), (arguments.sections, SECTIONS, "sections"))
    if min(arguments.connections, arguments.megabytes, arguments.load_megabytes, arguments.before, arguments.moves,
           arguments.rounds, arguments.tables) < 1:
        parser.error("every number must be at least 1")


def benchmark(arguments):
    program = find_kunlog(arguments.kunlog, ROOT)
    if not shutil.which("psql"):
        raise Failure("psql is missing: apt-get install postgresql-client")
    sections, peers = arguments.sections.split(","), list(filter(None, arguments.against.split(",")))
    if "copy" in sections and "mysqldump" in peers:
        require_mariadb()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="kunlog-bench-", dir=arguments.scratch))
        # MariaDB's user must be able to enter it.
        os.chmod(directory, 0o755)
        document = {
            "benchmark": "moves", "date": now(), "commit": commit(), "command": command_line(),
            "machine": machine() | {"file_system": require_disk(directory)}, "load_average": os.getloadavg()[0],
            "connections": arguments.connections}
        data, port = stack.enter_context(quick_start(program, directory))
        kunlog = Kunlog(Database("kunlog", "127.0.0.1", port, "abc", "abc", "postgres"), program, data)
        if "load" in sections:
            document["load"] = load(arguments, kunlog, port)
        if "copy" in sections:
            document["copy"] = copy(arguments, kunlog, peers, directory)
        if "shard" in sections:
            document["shard"] = new_shard(kunlog)
        if "catalog" in sections:
            document["catalog"] = catalog.measure(kunlog, port, arguments.tables, arguments.connections)
        document["bars"] = bars(document)
    if arguments.report:
        moves_report.write(document, arguments.report)
    print(json.dumps(document, indent=1) if arguments.json else moves_report.table(document))


def kunlog_run(kunlog, *arguments, timeout=600):
    return run([kunlog.program, *arguments, "--data", kunlog.data], timeout=timeout)


def fill(kunlog, table, megabytes):
    """A table of so many megabytes on shard 1; its number of rows."""
    rows = megabytes * 1024 * 1024 // (ROW_BYTES + 16)
    kunlog.query(f"CREATE TABLE {table} (id bigint PRIMARY KEY, n bigint NOT NULL, filler text) WITH (shard = 1)")
    begun = time.monotonic()
    for begin in range(1, rows + 1, 10_000):
        end = min(begin + 9_999, rows)
        kunlog.query(f"INSERT INTO {table} SELECT g, 0, {ROW} FROM generate_series({begin}, {end}) AS s (g)")
        if begin % 100_000 == 1:
            rate = end / (time.monotonic() - begun)
            progress(f"{table}: {end:,} of {rows:,} rows, {rate:,.0f}/s, {(rows - end) / rate:.0f} s left")
    return rows


# Under load.

class Load:
    """Clients that read and update single rows of a table, one statement after another, and note when each began and ended."""

    def __init__(self, port, table, rows, connections):
        self.table, self.rows = table, rows
        self.is_over = False
        self.failures = []
        self.statements = [[] for _ in range(connections)]
        self.counted = [0] * connections
        self.threads = [
            threading.Thread(target=self.client, args=(number, port + number % 3), daemon=True)
            for number in range(connections)]
        for thread in self.threads:
            thread.start()

    def client(self, number, port):
        draw, connection = random.Random(number), Connection(port)
        mine = self.statements[number]
        try:
            while not self.is_over:
                row = draw.randint(1, self.rows)
                writes = draw.random() < 0.3
                sql = (
                    f"UPDATE {self.table} SET n = n + 1 WHERE id = {row}" if writes
                    else f"SELECT n FROM {self.table} WHERE id = {row}")
                begun = time.time()
                try:
                    connection.execute(sql)
                    self.counted[number] += writes
                except Failure as failure:
                    self.failures.append(str(failure))
                    if len(self.failures) > 100:
                        return
                mine.append((begun, time.time()))
        finally:
            connection.close()

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join(60)
        return sorted(one for client in self.statements for one in client)


def load(arguments, kunlog, port):
    rows = fill(kunlog, "moving", arguments.load_megabytes)
    clients = Load(port, "moving", rows, arguments.connections)
    spans = []
    try:
        for number in range(arguments.moves):
            # What came before has settled.
            time.sleep(2)
            begun = time.time()
            time.sleep(arguments.before)
            moved = time.time()
            kunlog_run(kunlog, "table", "move", "moving", "--to", "12"[(number + 1) % 2])
            spans.append((begun, moved, time.time()))
            progress(f"move {number + 1} of {arguments.moves}: {spans[-1][2] - moved:.1f} s")
        time.sleep(arguments.before)
    finally:
        statements = clients.stop()
    counted = int(kunlog.query("SELECT sum(n) FROM moving"))
    history = events(kunlog)
    moves = [one_move(statements, span, history) for span in spans]
    met = sorted(latency for move in moves for latency in move.pop("latencies"))
    return {
        "rows": rows, "megabytes": arguments.load_megabytes, "moves": moves, "statements": len(statements),
        "failures": len(clients.failures), "first_failures": clients.failures[:3],
        "updates": sum(clients.counted), "updates_found": counted,
        "stalled": {
            "statements": len(met), "p50": milliseconds(percentile(met, 0.5)), "p99": milliseconds(percentile(met, 0.99)),
            "maximum": milliseconds(met[-1] if met else 0)},
        "throughput_ratio": round(statistics.median(move["during"] / move["before"] for move in moves), 3),
        "curve": curve(statements, spans[0], history)}


def milliseconds(seconds):
    return round(seconds * 1000, 1)


def events(kunlog):
    """When each event of a migration was appended, in the clock that the clients have too."""
    records = json.loads(kunlog_run(kunlog, "log", "show", "--kind", "migration", "--json"))["records"]
    return [(record["time_microseconds"] / 1e6, event["kind"]) for record in records for event in record["events"]]


def moment(history, span, kind):
    """The last time of an event within a span: an attempt that was given up came before."""
    times = [at for at, name in history if name == kind and span[1] - 1 <= at <= span[2] + 1]
    if not times:
        raise Failure(f"the log has no {kind} of the move")
    return times[-1]


def rate(statements, begin, end):
    return sum(begin <= ended < end for _, ended in statements) / max(end - begin, 1e-9)


def one_move(statements, span, history):
    planned, cut, routed = (
        moment(history, span, kind) for kind in ("MigrationPlanned", "MigrationWritesCut", "TabletRouted"))
    latencies = [
        end - begin for begin, end in statements if end >= cut and begin <= routed + AROUND_SECONDS]
    return {
        "seconds": round(span[2] - span[1], 2), "copy_seconds": round(cut - planned, 2),
        "cut_milliseconds": milliseconds(routed - cut), "before": round(rate(statements, span[0], span[1])),
        "during": round(rate(statements, planned, cut)), "latencies": latencies}


def curve(statements, span, history):
    """Statements per second over time, of the first move; and when its steps were."""
    begin, end = span[0], span[2] + 5
    counts = [0] * int((end - begin) / BUCKET_SECONDS)
    for _, ended in statements:
        place = int((ended - begin) / BUCKET_SECONDS)
        if 0 <= place < len(counts):
            counts[place] += 1
    steps = {
        kind: round(moment(history, span, kind) - begin, 3)
        for kind in ("MigrationPlanned", "MigrationLoaded", "MigrationWritesCut", "TabletRouted")}
    return {"seconds": BUCKET_SECONDS, "per_second": [round(count / BUCKET_SECONDS) for count in counts], "steps": steps}


# The copy.

def copy(arguments, kunlog, peers, directory):
    rows = fill(kunlog, "copied", arguments.megabytes)
    servers = []
    result = {"rows": rows, "megabytes": arguments.megabytes, "seconds": {"kunlog": []}}
    try:
        if "mysqldump" in peers:
            servers = mariadb_pair(directory, rows)
            result["seconds"]["mysqldump"] = []
        for number in range(arguments.rounds):
            begun = time.monotonic()
            kunlog_run(
                kunlog, "table", "move", "copied", "--to", "12"[(number + 1) % 2], "--throttle", "0", timeout=1800)
            result["seconds"]["kunlog"].append(round(time.monotonic() - begun, 2))
            progress(f"copy {number + 1} of {arguments.rounds}: Kunlog {result['seconds']['kunlog'][-1]} s")
            if servers:
                result["seconds"]["mysqldump"].append(round(dump_and_load(servers), 2))
                progress(f"copy {number + 1} of {arguments.rounds}: mysqldump {result['seconds']['mysqldump'][-1]} s")
    finally:
        for server in servers:
            server.stop()
    kunlog.query("DROP TABLE copied")
    if servers:
        result["ratio"] = round(
            statistics.median(result["seconds"]["mysqldump"]) / statistics.median(result["seconds"]["kunlog"]), 3)
    return result


def mariadb_pair(directory, rows):
    progress("starting two MariaDB servers …")
    directory = tempfile.mkdtemp(prefix="mariadb-", dir=directory)
    os.chmod(directory, 0o755)
    servers = []
    try:
        for number in (1, 2):
            servers.append(MariaDBServer(
                directory, f"server-{number}", f"127.0.0.{number}", lambda data, number=number: [
                    f"--log-bin={data}/binary-log", f"--server-id={number}", "--sync-binlog=1",
                    "--innodb-buffer-pool-size=1G"]))
            servers[-1].query("CREATE DATABASE bench")
        source = servers[0]
        source.query("CREATE TABLE bench.copied (id bigint PRIMARY KEY, n bigint NOT NULL, filler text) ENGINE=InnoDB")
        for begin in range(1, rows + 1, 10_000):
            end = min(begin + 9_999, rows)
            source.query(
                f"USE bench; INSERT INTO copied SELECT seq, 0, REPEAT('row ', {ROW_BYTES // 4}) FROM seq_{begin}_to_{end}")
    except BaseException:
        for server in servers:
            server.stop()
        raise
    return servers


def dump_and_load(servers):
    source, target = servers
    target.query("DROP DATABASE bench; CREATE DATABASE bench")
    dump = [
        "mariadb-dump", "--no-defaults", "--single-transaction", "--quick", "-h", source.host, "-P", str(source.port), "-u",
        "root", "bench", "copied"]
    take = ["mariadb", "--no-defaults", "-h", target.host, "-P", str(target.port), "-u", "root", "bench"]
    begun = time.monotonic()
    with subprocess.Popen(dump, stdout=subprocess.PIPE, preexec_fn=end_with_parent) as dumping:
        taking = subprocess.run(take, stdin=dumping.stdout, timeout=3600)
        if dumping.wait() != 0 or taking.returncode != 0:
            raise Failure("mariadb-dump | mariadb did not succeed")
    return time.monotonic() - begun


# A new shard.

def new_shard(kunlog):
    """From the answer of `shard add` to the first row in a table of the new shard."""
    begun = time.monotonic()
    kunlog_run(kunlog, "shard", "add", "--replicas", "3")
    added = time.monotonic()
    number = max(one["id"] for one in json.loads(kunlog_run(kunlog, "shard", "list", "--json"))["shards"])
    listed = time.monotonic()
    kunlog.query(f"CREATE TABLE first (id bigint PRIMARY KEY) WITH (shard = {number})")
    kunlog.query("INSERT INTO first VALUES (1)")
    if kunlog.query("SELECT count(*) FROM first") != "1":
        raise Failure("the row is not there")
    return {
        "add_seconds": round(added - begun, 2), "first_row_seconds": round(time.monotonic() - listed, 3)}


# Bars.

def bars(document):
    """What is asked for, what was measured, and whether that is enough; None where it was not measured."""
    under = document.get("load")
    return [
        bar("statements that met a cut: p99, ms", under and under["stalled"]["p99"], 50, False),
        bar("statements that met a cut: longest, ms", under and under["stalled"]["maximum"], 500, False),
        bar("statements that failed", under and under["failures"], 0, False),
        bar("acknowledged updates that are not there, or twice", under and abs(
            under["updates"] - under["updates_found"]), 0, False),
        bar("statements/s during copy and catch-up over before", under and under["throughput_ratio"], 0.85, True),
        bar("copy over mysqldump piped into mariadb", (document.get("copy") or {}).get("ratio"), 5, True),
        bar("first row on a new shard, s after shard add", (document.get("shard") or {}).get("first_row_seconds"), 2, False),
        bar(f"a new compute node serves {(document.get('catalog') or {}).get('tables', 100_000):,} tables, s after its start", (
            document.get("catalog") or {}).get("served_seconds"), 2, False),
    ]
