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
# What is created between two lines of the report.
STEP = 10
STARTS = 3


def measure(kunlog, port, tables, connections):
    made, seconds = create(kunlog, port, tables, connections)
    nodes = [new_node(kunlog, tables) for _ in range(STARTS)]
    return {
        "tables": tables, "connections": connections, "create_seconds": round(seconds, 1), "made": made, "starts": nodes,
        "served_seconds": statistics.median(
            round(max(one["counted_seconds"], one["row_seconds"]), 2) for one in nodes)}


# The tables.

def create(kunlog, port, tables, connections):
    """Makes the tables; how fast, step by step, and the seconds that all of it took."""
    begun = time.monotonic()
    made = []
    for step in range(STEP):
        first, last = tables * step // STEP, tables * (step + 1) // STEP
        if first == last:
            continue
        began = time.monotonic()
        create_range(port, first, last, connections)
        rate = (last - first) / (time.monotonic() - began)
        made.append({"tables": last, "per_second": round(rate)})
        progress(f"{last:,} of {tables:,} tables, {rate:,.0f}/s, about {(tables - last) / rate:.0f} s left")
    # The last one can be used: the shards have all.
    kunlog.query(f"INSERT INTO catalog_{tables - 1} VALUES ({tables - 1}, 'last')")
    return made, time.monotonic() - begun


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

def ports(kunlog):
    """Where the quick start's compute nodes take clients, by name."""
    with open(os.path.join(kunlog.data, "cluster.json"), encoding="utf-8") as file:
        processes = json.load(file)["processes"]
    return {one["name"]: one["postgres_port"] for one in processes if one["role"] == "compute"}


def new_node(kunlog, tables):
    """When a new node lets a client in, counts the catalog and reads a row, in seconds since its process began; it is removed again."""
    known = set(ports(kunlog))
    adding = subprocess.Popen(
        [kunlog.program, "compute", "add", "--data", kunlog.data], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=end_with_parent)
    try:
        name, connection = connect(kunlog, known, adding)
        connected = boot_time()
        count = int(connection.execute("SELECT count(*) FROM pg_class")[0][0])
        counted = boot_time()
        row = connection.execute(f"SELECT name FROM catalog_{tables - 1} WHERE id = {tables - 1}")
        read = boot_time()
        connection.close()
    finally:
        _, errors = adding.communicate(timeout=120)
    if adding.returncode != 0:
        raise Failure(f"kunlog compute add: {errors.strip()}")
    # Each has an index for its key.
    if count < 2 * tables or row != [["last"]]:
        raise Failure(f"the new node does not show the catalog: pg_class has {count} rows, the last table {row}")
    begun, memory = process(kunlog.pid(name))
    result = {
        "connected_seconds": round(connected - begun, 2), "counted_seconds": round(counted - begun, 2),
        "row_seconds": round(read - begun, 2), "memory_megabytes": memory}
    progress(
        f"{name}: a client after {result['connected_seconds']} s, the catalog after {result['counted_seconds']} s, a row after"
        f" {result['row_seconds']} s, {memory} MB")
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
