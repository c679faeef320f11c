"""The systems of `tools/bench txn`, each started and ended by it: a quick start of Kunlog, MariaDB with Spider over two
servers, one PostgreSQL. All on loopback, all with settings that keep what was acknowledged."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .clusters import end_with_parent
from .common import Failure, free_ports, progress, run

START_BALANCE = 1000
FILLER = "forty bytes of payload for every single row"


class System:
    """What is loaded: where, by which driver of sysbench, and how it is asked directly."""
    name = title = driver = ""

    def driver_options(self):
        raise NotImplementedError

    def query(self, sql):
        raise NotImplementedError

    def create(self, rows):
        raise NotImplementedError

    def total(self):
        return int(self.query("SELECT sum(balance) FROM accounts"))


class PostgresProtocol(System):
    driver = "pgsql"

    def __init__(self, database):
        self.database = database

    def driver_options(self):
        database = self.database
        return [
            f"--pgsql-host={database.host}", f"--pgsql-port={database.port}", f"--pgsql-user={database.user}",
            f"--pgsql-password={database.password}", f"--pgsql-db={database.database}"]

    def query(self, sql):
        return self.database.psql(sql)

    def fill(self, rows):
        for begin in range(1, 2 * rows + 1, 10_000):
            end = min(begin + 9_999, 2 * rows)
            self.query(
                f"INSERT INTO accounts SELECT g, {START_BALANCE}, '{FILLER}' FROM generate_series({begin}, {end}) AS s (g)")


class PostgreSQL(PostgresProtocol):
    name, title = "postgresql", "PostgreSQL (one server)"

    def create(self, rows):
        for setting in ("fsync", "synchronous_commit"):
            if self.query(f"SHOW {setting}") != "on":
                raise Failure(f"{setting} is not on at the scratch PostgreSQL")
        self.query("CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, filler text)")
        self.fill(rows)
        self.query("VACUUM ANALYZE accounts")


class Kunlog(PostgresProtocol):
    name, title = "kunlog", "Kunlog (two shards, three replicas each)"

    def __init__(self, database, program, data):
        super().__init__(database)
        self.program, self.data = program, data

    def create(self, rows):
        self.query("CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, filler text) PARTITION BY RANGE (id)")
        for shard in (1, 2):
            self.query(
                f"CREATE TABLE accounts_{shard} PARTITION OF accounts FOR VALUES FROM ({(shard - 1) * rows + 1})"
                f" TO ({shard * rows + 1}) WITH (shard = {shard})")
        self.fill(rows)

    def pid(self, name):
        """Of a process that runs; else None."""
        status = json.loads(run([self.program, "quickstart", "status", "--data", self.data, "--json"]))
        return next(
            (one["pid"] for one in status["processes"] if one["name"] == name and one["state"] == "running"), None)


class Spider(System):
    name, title, driver = "spider", "MariaDB Spider (two servers)", "mysql"

    def __init__(self, port):
        self.port = port

    def driver_options(self):
        return [
            "--mysql-host=127.0.0.1", f"--mysql-port={self.port}", "--mysql-user=abc", "--mysql-password=abc",
            "--mysql-db=bench", "--mysql-ignore-errors=1213,1020,1205,1614"]

    def query(self, sql):
        return mariadb(self.port, sql, user="abc", database="bench")

    def create(self, rows):
        # The tables are made with the servers; what is left is the content.
        for begin in range(1, 2 * rows + 1, 10_000):
            end = min(begin + 9_999, 2 * rows)
            values = ",".join(f"({number},{START_BALANCE},'{FILLER}')" for number in range(begin, end + 1))
            self.query(f"INSERT INTO accounts VALUES {values}")


# Kunlog.

def consecutive_ports(count):
    """The first of so many free ports in a row, below those that the kernel gives to clients."""
    for first in range(20_000, 30_000, 50):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    probe = stack.enter_context(contextlib.closing(socket.socket()))
                    probe.bind(("127.0.0.1", port))
                return first
            except OSError:
                continue
    raise Failure(f"no {count} free ports in a row between 20,000 and 30,000")


@contextlib.contextmanager
def quick_start(program, directory):
    """A quick start of its own: 3 meta, 2 x 3 storage, 3 compute nodes, a manager. The first compute node's port."""
    first, data = consecutive_ports(40), os.path.join(directory, "kunlog")
    progress("starting Kunlog …")
    try:
        run([
            program, "quickstart", "start", "--data", data, "--detach", "--node-port", str(first), "--metrics-port",
            str(first + 13), "--postgres-port", str(first + 30)], timeout=120)
        yield data, first + 30
    finally:
        with contextlib.suppress(Failure):
            run([program, "quickstart", "stop", "--data", data], timeout=60)


# MariaDB.

def mariadb(port, sql, user, database=None, host="127.0.0.1"):
    command = ["mariadb", "--no-defaults", "--batch", "--skip-column-names", "-h", host, "-P", str(port), "-u", user]
    environment = dict(os.environ, MYSQL_PWD="abc" if user == "abc" else "")
    return run(command + ([database] if database else []), input=sql, env=environment).strip()


def require_mariadb():
    if not shutil.which("mariadbd"):
        raise Failure("mariadbd is missing: apt-get install mariadb-server")


class MariaDBServer:
    """One server with a data directory of its own."""

    def __init__(self, directory, name, host, options):
        self.log, self.host, self.port = os.path.join(directory, f"{name}.log"), host, free_ports(1)[0]
        data, scratch = os.path.join(directory, name), os.path.join(directory, f"{name}-tmp")
        account = None
        os.makedirs(scratch)
        if os.geteuid() == 0:
            # MariaDB refuses to run as root.
            account = "mysql"
            if not any(entry.pw_name == account for entry in pwd.getpwall()):
                raise Failure("MariaDB does not run as root, and there is no user mysql to run it as")
            shutil.chown(scratch, account, account)
        user = [f"--user={account}"] if account else []
        environment = dict(os.environ, TMPDIR=scratch)
        run([
            "mariadb-install-db", "--no-defaults", *user, f"--datadir={data}", "--auth-root-authentication-method=normal",
            "--skip-test-db"], env=environment, timeout=120)
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", *user, f"--datadir={data}", f"--port={self.port}", f"--bind-address={host}",
                 f"--socket={scratch}/socket", "--innodb-flush-log-at-trx-commit=1", *options(data)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, preexec_fn=end_with_parent)
        self.wait()

    def query(self, sql):
        return mariadb(self.port, sql, "root", host=self.host)

    def wait(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.query("SELECT 1")
            except Failure:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    with open(self.log, encoding="utf-8") as file:
                        raise Failure(f"MariaDB does not start:\n{file.read()[-2000:]}") from None
                time.sleep(0.1)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()


ACCOUNTS = "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, filler text)"


@contextlib.contextmanager
def spider(directory, rows):
    """Two servers that hold the rows, with synchronised binary logs, and one in front with the Spider engine. The two have
    addresses of their own: Spider tells the parts of an XA transaction apart by the host."""
    require_mariadb()
    progress("starting MariaDB with Spider …")
    directory = tempfile.mkdtemp(prefix="spider-", dir=directory)
    os.chmod(directory, 0o755)
    servers = []
    try:
        for number in (1, 2):
            servers.append(MariaDBServer(
                directory, f"backend-{number}", f"127.0.0.{number}", lambda data, number=number: [
                    f"--log-bin={data}/binary-log", f"--server-id={number}", "--sync-binlog=1"]))
            servers[-1].query(f"""
                CREATE DATABASE bench; USE bench; {ACCOUNTS} ENGINE=InnoDB;
                CREATE USER abc@'%' IDENTIFIED BY 'abc'; GRANT ALL ON *.* TO abc@'%';""")
        front = MariaDBServer(directory, "front", "127.0.0.1", lambda data: ["--plugin-load-add=ha_spider"])
        servers.append(front)
        deadline = time.monotonic() + 30
        while "SPIDER" not in front.query("SHOW ENGINES"):
            if time.monotonic() > deadline:
                raise Failure("MariaDB has no engine SPIDER: apt-get install mariadb-plugin-spider")
            time.sleep(0.2)
        links = "".join(
            f"CREATE SERVER backend_{number} FOREIGN DATA WRAPPER mysql OPTIONS (HOST '{servers[number - 1].host}', PORT"
            f" {servers[number - 1].port}, DATABASE 'bench', USER 'abc', PASSWORD 'abc');" for number in (1, 2))
        front.query(f"""
            {links} CREATE DATABASE bench; USE bench;
            {ACCOUNTS} ENGINE=SPIDER COMMENT='wrapper "mysql", table "accounts"' PARTITION BY RANGE (id) (
              PARTITION first VALUES LESS THAN ({rows + 1}) COMMENT = 'srv "backend_1"',
              PARTITION second VALUES LESS THAN ({2 * rows + 1}) COMMENT = 'srv "backend_2"');
            CREATE USER abc@'%' IDENTIFIED BY 'abc'; GRANT ALL ON *.* TO abc@'%';""")
        yield Spider(front.port)
    finally:
        for server in reversed(servers):
            server.stop()
