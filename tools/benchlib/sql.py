"""tools/bench sql: single-row INSERTs through PostgreSQL's protocol."""

import contextlib
import glob
import json
import os
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from .common import (
    Failure, command_line, free_ports, machine, now, percentile, progress, require_disk, run)

TABLE = "kunlog_bench_insert"
# Each client counts for itself: no two rows have the same key, and no key is drawn at random.
SCRIPT = """\\set n :n + 1
\\set id :round * 100000000000 + :client_id * 1000000000 + :n
INSERT INTO {table} (id, client, payload) VALUES (:id, :client_id, 'forty bytes of payload for every single row');
""".format(table=TABLE)


class Database:
    """Where to connect, and as whom."""

    def __init__(self, name, host, port, user, password, database):
        self.name, self.host, self.port = name, host, port
        self.user, self.password, self.database = user, password, database

    def environment(self):
        return dict(
            os.environ, PGHOST=self.host, PGPORT=str(self.port), PGUSER=self.user, PGPASSWORD=self.password,
            PGDATABASE=self.database, PGSSLMODE="disable", PGCONNECT_TIMEOUT="10", PGOPTIONS="")

    def psql(self, sql):
        command = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]
        return run(command, env=self.environment()).strip()

    def check(self):
        try:
            return self.psql("SELECT version()")
        except Failure as failure:
            hint = "is it running? tools/quickstart --detach starts one" if self.name == "kunlog" else "see above"
            raise Failure(f"no answer from {self.name} at {self.host}:{self.port} ({hint}):\n{failure}") from None


def newest_postgresql(given):
    """The directory with initdb and postgres."""
    if given:
        candidates = [given]
    else:
        def version(path):
            return [int(part) for part in re.findall(r"\d+", path)]
        candidates = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version, reverse=True)
    for candidate in candidates:
        if os.access(os.path.join(candidate, "initdb"), os.X_OK):
            return candidate
    raise Failure("PostgreSQL's server is missing: apt-get install postgresql")


@contextlib.contextmanager
def scratch_postgresql(binaries, scratch):
    """A PostgreSQL of its own, with default settings, that is gone afterwards."""
    # PostgreSQL refuses to run as root.
    prefix = []
    if os.geteuid() == 0:
        if not any(entry.pw_name == "postgres" for entry in pwd.getpwall()):
            raise Failure("PostgreSQL does not run as root, and there is no user postgres to run it as")
        prefix = ["runuser", "-u", "postgres", "--"]
    directory = tempfile.mkdtemp(prefix="kunlog-bench-", dir=scratch)
    server = None
    try:
        require_disk(directory)
        if prefix:
            shutil.chown(directory, "postgres", "postgres")
        port, data, password = free_ports(1)[0], f"{directory}/data", "abc"
        password_file = f"{directory}/password"
        with open(password_file, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        if prefix:
            shutil.chown(password_file, "postgres", "postgres")
        progress("starting a scratch PostgreSQL …")
        run(prefix + [
            f"{binaries}/initdb", "-D", data, "-U", "abc", "-A", "scram-sha-256", f"--pwfile={password_file}",
            "-E", "UTF8", "--locale=C.UTF-8"], cwd="/")
        log = open(f"{directory}/log", "w", encoding="utf-8")
        server = subprocess.Popen(
            prefix + [
                f"{binaries}/postgres", "-D", data, "-c", f"port={port}", "-c", "listen_addresses=127.0.0.1",
                "-c", f"unix_socket_directories={directory}"],
            stdout=log, stderr=log, cwd="/", start_new_session=True)
        database = Database("postgresql", "127.0.0.1", port, "abc", password, "postgres")
        deadline = time.monotonic() + 30
        while True:
            try:
                database.psql("SELECT 1")
                break
            except Failure:
                if server.poll() is not None or time.monotonic() > deadline:
                    with open(f"{directory}/log", encoding="utf-8") as file:
                        raise Failure(f"the scratch PostgreSQL does not start:\n{file.read()}") from None
                time.sleep(0.1)
        yield database
    finally:
        if server is not None and server.poll() is None:
            # SIGINT is PostgreSQL's fast shutdown; the process group holds runuser and the server, nothing else.
            os.killpg(server.pid, signal.SIGINT)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
        shutil.rmtree(directory, ignore_errors=True)


def measure(database, arguments, script, number, directory):
    """One round of pgbench: rows per second and latencies in milliseconds."""
    prefix = os.path.join(directory, f"{database.name}.{number}")
    command = [
        "pgbench", "-n", "-f", script, "-c", str(arguments.clients), "-j", str(arguments.threads),
        "-T", str(arguments.duration), "-M", arguments.protocol, "-D", "n=0", "-D", f"round={number}",
        "-l", f"--log-prefix={prefix}"]
    output = run(command, env=database.environment())
    rate = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
    done = re.search(r"^number of transactions actually processed: (\d+)", output, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", output, re.MULTILINE)
    if not rate or not done:
        raise Failure(f"pgbench's output was not understood:\n{output}")
    latencies = []
    for path in glob.glob(prefix + ".*"):
        with open(path, encoding="utf-8") as log:
            # client, transaction, microseconds, …
            latencies += [int(line.split()[2]) / 1000 for line in log]
        os.remove(path)
    latencies.sort()
    return {
        "transactions": int(done.group(1)),
        "failed_transactions": int(failed.group(1)) if failed else 0,
        "transactions_per_second": float(rate.group(1)),
        "latency_milliseconds": {
            "mean": round(statistics.fmean(latencies), 3) if latencies else 0.0,
            "p50": round(percentile(latencies, 0.50), 3),
            "p99": round(percentile(latencies, 0.99), 3),
            "maximum": round(latencies[-1], 3) if latencies else 0.0,
        },
    }


def prepare(database):
    database.psql(f"DROP TABLE IF EXISTS {TABLE}")
    database.psql(f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, client integer, payload text)")


def summary(rounds, version):
    def median(of):
        return round(statistics.median(of(one) for one in rounds), 3)
    return {
        "version": version,
        "transactions_per_second": median(lambda one: one["transactions_per_second"]),
        "latency_milliseconds": {
            key: median(lambda one: one["latency_milliseconds"][key]) for key in ("mean", "p50", "p99", "maximum")
        },
        "rows": sum(one["transactions"] for one in rounds),
        "rounds": rounds,
    }


def main(arguments):
    for program in ("pgbench", "psql"):
        if not shutil.which(program):
            raise Failure(f"{program} is missing: apt-get install postgresql postgresql-client")
    kunlog = Database(
        "kunlog", arguments.host, arguments.port, arguments.user, arguments.password, arguments.database)
    versions = {"kunlog": kunlog.check()}
    rounds = {"kunlog": [], "postgresql": []}
    binaries = newest_postgresql(arguments.postgresql_binaries)
    with tempfile.TemporaryDirectory(prefix="kunlog-bench-") as directory, \
            scratch_postgresql(binaries, arguments.scratch) as postgresql:
        versions["postgresql"] = postgresql.check()
        script = os.path.join(directory, "insert.sql")
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT)
        systems = [kunlog, postgresql]
        try:
            for system in systems:
                prepare(system)
            for number in range(1, arguments.rounds + 1):
                for system in systems:
                    one = measure(system, arguments, script, number, directory)
                    rounds[system.name].append(one)
                    progress(
                        f"round {number}: {system.name:10} {one['transactions_per_second']:9.0f} rows/s"
                        f"   p50 {one['latency_milliseconds']['p50']:7.2f} ms"
                        f"   p99 {one['latency_milliseconds']['p99']:7.2f} ms")
            for system in systems:
                verify(system, rounds[system.name])
        finally:
            with contextlib.suppress(Failure):
                kunlog.psql(f"DROP TABLE IF EXISTS {TABLE}")
    report(arguments, {name: summary(rounds[name], versions[name]) for name in rounds})


def verify(system, rounds):
    """What was acknowledged must be there, no more and no less."""
    acknowledged = sum(one["transactions"] for one in rounds)
    found = int(system.psql(f"SELECT count(*) FROM {TABLE}"))
    if found != acknowledged:
        raise Failure(f"{system.name} acknowledged {acknowledged} rows and holds {found}")


def report(arguments, systems):
    rates = {name: system["transactions_per_second"] for name, system in systems.items()}
    medians = {name: system["latency_milliseconds"]["p50"] for name, system in systems.items()}
    document = {
        "benchmark": "sql",
        "statement": "single-row INSERT by primary key",
        "against": "postgresql",
        "protocol": arguments.protocol,
        "clients": arguments.clients,
        "duration_seconds": arguments.duration,
        "date": now(),
        "command": command_line(),
        "machine": machine(),
        "systems": systems,
        "ratio": {
            "transactions_per_second": round(rates["kunlog"] / rates["postgresql"], 3) if rates["postgresql"] else None,
            "latency_p50": round(medians["kunlog"] / medians["postgresql"], 3) if medians["postgresql"] else None,
        },
    }
    if arguments.json:
        json.dump(document, sys.stdout, indent=2)
        print()
        return
    print(f"single-row INSERT by primary key, {arguments.clients} connections, {arguments.protocol} protocol,")
    print(f"median of {arguments.rounds} rounds of {arguments.duration} s, {os.cpu_count()} processors")
    print()
    print(f"{'':12} {'rows/s':>9} {'mean ms':>9} {'p50 ms':>9} {'p99 ms':>9}")
    for name, system in systems.items():
        latency = system["latency_milliseconds"]
        print(
            f"{name:12} {system['transactions_per_second']:9.0f} {latency['mean']:9.2f} {latency['p50']:9.2f}"
            f" {latency['p99']:9.2f}")
    print(f"{'ratio':12} {document['ratio']['transactions_per_second']:9.3f}")


def add_arguments(commands):
    sql = commands.add_parser("sql", help="single-row INSERTs through PostgreSQL's protocol")
    sql.add_argument("--against", choices=["postgresql"], required=True, help="what to compare with")
    sql.add_argument("--host", default="127.0.0.1", help="Kunlog's compute node (127.0.0.1)")
    sql.add_argument("--port", type=int, default=5401, help="its PostgreSQL port (5401)")
    sql.add_argument("--user", default="abc")
    sql.add_argument("--password", default="abc")
    sql.add_argument("--database", default="postgres")
    sql.add_argument("--clients", type=int, default=16, help="connections (16)")
    sql.add_argument("--threads", type=int, default=2, help="pgbench's threads (2)")
    sql.add_argument("--duration", type=int, default=10, help="seconds per round (10)")
    sql.add_argument("--rounds", type=int, default=3, help="rounds per side, alternating (3)")
    sql.add_argument("--protocol", choices=["simple", "extended", "prepared"], default="simple")
    sql.add_argument("--scratch", default="/var/tmp", help="where the scratch PostgreSQL lives, on a disk (/var/tmp)")
    sql.add_argument("--postgresql-binaries", help="directory of initdb and postgres (the newest installed)")
    sql.add_argument("--json", action="store_true", help="print one JSON document")
    sql.set_defaults(run=main)


def check_arguments(parser, arguments):
    if min(arguments.clients, arguments.threads, arguments.duration, arguments.rounds) < 1:
        parser.error("--clients, --threads, --duration and --rounds must be at least 1")
    arguments.threads = min(arguments.threads, arguments.clients)
