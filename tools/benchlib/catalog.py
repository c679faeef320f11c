"""tools/bench moves, section catalog: many tables, and how soon a new compute node serves them."""

import contextlib
import json
import os
import statistics
import subprocess
import threading
import time

from .clusters import end_with_parent
from .common import Failure, progress, run
from .libpq import Connection

# Statements that are sent as one.
BATCH = 50
# So many tables are made by SQL; the rest by commands to the log, many in one record.
BY_SQL = 2_000
# What is created between two lines of progress.
STEP = 10
STARTS = 3
# How long the shards may take to have the last tables.
MAKING_SECONDS = 3_600


def measure(kunlog, port, tables, connections):
    made = create(kunlog, port, tables, connections)
    nodes = [new_node(kunlog, tables) for _ in range(STARTS)]
    return {
        "tables": tables, "connections": connections, "made": made, "starts": nodes,
        "served_seconds": statistics.median(max(one[key] for key in QUERIES) for one in nodes)}


# The tables.

def create(kunlog, port, tables, connections):
    """Makes the tables; how many by what, and the seconds that it took."""
    by_sql = min(BY_SQL, tables)
    made = {"by_sql": by_sql, "by_sql_seconds": 0, "by_commands": tables - by_sql, "by_commands_seconds": 0}
    made["by_sql_seconds"] = steps(0, by_sql, lambda first, last: create_range(port, first, last, connections))
    if tables > by_sql:
        made["by_commands_seconds"] = steps(by_sql, tables, lambda first, last: append_range(kunlog, first, last))
    begun = time.monotonic()
    fill_last(kunlog, tables)
    made["on_shards_seconds"] = round(time.monotonic() - begun, 1)
    return made


def steps(first, last, make):
    """Makes a range of tables in several steps, whose rates are shown; the seconds that all took."""
    begun = time.monotonic()
    edges = [first + (last - first) * step // STEP for step in range(STEP + 1)]
    for start, end in zip(edges, edges[1:]):
        if start == end:
            continue
        began = time.monotonic()
        make(start, end)
        rate = (end - start) / (time.monotonic() - began)
        progress(f"{end:,} tables, {rate:,.0f}/s, about {(last - end) / rate:.0f} s left to {last:,}")
    return round(time.monotonic() - begun, 1)


def append_range(kunlog, first, last):
    with open(os.path.join(kunlog.data, "cluster.json"), encoding="utf-8") as file:
        processes = json.load(file)["processes"]
    certificates = os.path.join(kunlog.data, "certificates")
    run([
        kunlog.program, "bench", "meta", "catalog", "--in-cluster", "--prefix", "catalog_", "--first", str(first), "--tables",
        str(last - first), "--endpoints",
        ",".join(f"{one['host']}:{one['port']}" for one in processes if one["role"] == "meta"),
        "--certificate", f"{certificates}/operator.pem", "--key", f"{certificates}/operator.key", "--authority",
        f"{certificates}/ca.pem"], timeout=3_600)


def fill_last(kunlog, tables):
    """Puts a row into the last tables, which are on all shards: these have made all tables then."""
    deadline = time.monotonic() + MAKING_SECONDS
    for one in range(max(0, tables - 4), tables):
        while True:
            try:
                kunlog.query(f"INSERT INTO catalog_{one} VALUES ({one}, 'last')")
                break
            except Failure:
                # The shard is still making tables.
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)


def create_range(port, first, last, connections):
    starts = iter(range(first, last, BATCH))
    lock, failures = threading.Lock(), []

    def work(number):
        connection = Connection(port + number % 3)
        try:
            while not failures:
                with lock:
                    start = next(starts, None)
                if start is None:
                    return
                connection.execute(";".join(
                    f"CREATE TABLE catalog_{one} (id bigint PRIMARY KEY, name text)"
                    for one in range(start, min(start + BATCH, last))))
        except Failure as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# A new compute node.

# What psql sends for \dt NAME, without the comments on tables.
LIST = """
SELECT n.nspname AS "Schema", c.relname AS "Name",
  CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' END AS "Type",
  pg_catalog.pg_get_userbyid(c.relowner) AS "Owner"
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 's', '') AND c.relname OPERATOR(pg_catalog.~) '^(NAME)$' COLLATE pg_catalog.default
  AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 1, 2"""
QUERIES = ("row_seconds", "listed_seconds", "counted_seconds")

def ports(kunlog):
    """Where the quick start's compute nodes take clients, by name."""
    with open(os.path.join(kunlog.data, "cluster.json"), encoding="utf-8") as file:
        processes = json.load(file)["processes"]
    return {one["name"]: one["postgres_port"] for one in processes if one["role"] == "compute"}


def new_node(kunlog, tables):
    """When a new node lets a client in, reads a row, finds a table and counts all, one after another, in seconds since its process
    began; it is removed again."""
    known = set(ports(kunlog))
    adding = subprocess.Popen(
        [kunlog.program, "compute", "add", "--data", kunlog.data], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=end_with_parent)
    try:
        name, connection = connect(kunlog, known, adding)
        times = {"connected_seconds": boot_time()}
        row = connection.execute(f"SELECT name FROM catalog_{tables - 1} WHERE id = {tables - 1}")
        times["row_seconds"] = boot_time()
        listed = connection.execute(LIST.replace("NAME", f"catalog_{tables - 1}"))
        times["listed_seconds"] = boot_time()
        count = int(connection.execute("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'catalog%'")[0][0])
        times["counted_seconds"] = boot_time()
        connection.close()
    finally:
        _, errors = adding.communicate(timeout=120)
    if adding.returncode != 0:
        raise Failure(f"kunlog compute add: {errors.strip()}")
    if (count, row, listed) != (tables, [["last"]], [["public", f"catalog_{tables - 1}", "table", "abc"]]):
        raise Failure(f"the new node does not show the catalog: {count} tables, a row of the last one {row}, its entry {listed}")
    begun, memory = process(kunlog.pid(name))
    result = {key: round(time - begun, 2) for key, time in times.items()} | {"memory_megabytes": memory}
    progress(
        f"{name}: a client after {result['connected_seconds']} s, a row after {result['row_seconds']} s, \\dt of one table after"
        f" {result['listed_seconds']} s, all tables counted after {result['counted_seconds']} s, {memory} MB")
    run([kunlog.program, "compute", "remove", name, "--grace", "0", "--data", kunlog.data], timeout=120)
    return result


def connect(kunlog, known, adding):
    """The new node's name, and a connection to it as soon as it takes one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and adding.poll() in (None, 0):
        for name, port in ports(kunlog).items():
            if name not in known:
                with contextlib.suppress(Failure):
                    return name, Connection(port)
        time.sleep(0.005)
    raise Failure("the new compute node takes no clients")


def boot_time():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def process(pid):
    """When a process began, in the clock of `boot_time`, to 10 ms; its memory in MB."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE") >> 20
