"""Tables under load while they move from shard to shard.

Clients insert rows, count up counters, read what they wrote, and write two tables in one transaction, as fast as they are
answered, until the file --until-file exists (or --seconds have passed). What holds, and is checked: no statement fails; every
acknowledged insert is there once, and nothing else; each counter is what was acknowledged; what a client wrote it reads.

Usage: moving.py --port PORT [--seconds 20] [--until-file FILE] [--connections 16] [--kills] [--rows 20000]
       [--partitions N] [--group]
With --kills, statements may fail as they may when processes die (connection lost, 40001, 08xxx): they are tried again or counted as
unknown. With --partitions N all tables begin on shard 1, and `moving` has N partitions; a transaction of several statements that is
rolled back with 40001, as docs/scale-out.md says it may be, is repeated. With --group `moving` and `counter` are a table group. Prints one JSON line; exit status 1 where something does not hold.
"""
import argparse
import asyncio
import json
import os
import random
import sys
import time

import asyncpg

TABLES = """
CREATE TABLE moving (id text PRIMARY KEY, client int NOT NULL, n int NOT NULL, pad text) WITH (shard = 1);
CREATE TABLE counter (id int PRIMARY KEY, value bigint NOT NULL) WITH (shard = 1);
CREATE INDEX moving_client ON moving (client, n);
CREATE TABLE staying (id text PRIMARY KEY, client int NOT NULL) WITH (shard = 2);
"""
PARTITIONED = """
CREATE TABLE moving (id text PRIMARY KEY, client int NOT NULL, n int NOT NULL, pad text) PARTITION BY HASH (id);
{partitions}
CREATE TABLE counter (id int PRIMARY KEY, value bigint NOT NULL) WITH (shard = 1);
CREATE INDEX moving_client ON moving (client, n);
CREATE TABLE staying (id text PRIMARY KEY, client int NOT NULL) WITH (shard = 1);
"""
COUNTERS = 64
GROUPED = TABLES.replace("WITH (shard = 1)", "WITH (shard = 1, tablegroup = together)")


def tables(partitions, group):
    if group:
        return GROUPED
    if not partitions:
        return TABLES
    return PARTITIONED.format(partitions="\n".join(
        f"CREATE TABLE moving_{n} PARTITION OF moving FOR VALUES WITH (MODULUS {partitions}, REMAINDER {n}) WITH (shard = 1);"
        for n in range(partitions)))



class Load:
    def __init__(self, options):
        self.options = options
        self.until = time.monotonic() + options.seconds
        self.statements = self.retried = 0
        self.errors, self.violations = [], []
        self.unknown, self.rows, self.both = set(), set(), set()
        self.counts = {number: [0, 0] for number in range(COUNTERS)}  # acknowledged, unknown
        self.latencies = []

    def is_over(self):
        return time.monotonic() > self.until or bool(
            self.options.until_file and os.path.exists(self.options.until_file))

    async def connect(self, number):
        while True:
            try:
                return await asyncpg.connect(
                    host="127.0.0.1", port=self.options.port + number % 3, user="abc", password="abc",
                    database="postgres", timeout=10)
            except (OSError, asyncpg.PostgresError, asyncio.TimeoutError):
                if not self.options.kills:
                    raise
                await asyncio.sleep(0.05)

    async def setup(self):
        connection = await self.connect(0)
        for statement in tables(self.options.partitions, self.options.group).split(";"):
            if statement.strip():
                await connection.execute(statement)
        await connection.execute(f"INSERT INTO counter SELECT g, 0 FROM generate_series(0, {COUNTERS - 1}) g")
        for first in range(0, self.options.rows, 2000):
            await connection.executemany(
                "INSERT INTO moving VALUES ($1, -1, $2, $3)",
                [(f"old-{n}", n, "x" * 100) for n in range(first, min(first + 2000, self.options.rows))])
        await connection.close()

    def failed(self, what, error):
        """Whether the statement certainly left nothing; with kills, errors are part of the game."""
        state = getattr(error, "sqlstate", None) or type(error).__name__
        if not self.options.kills:
            self.errors.append(f"{what}: {state} {error}")
        return state in ("40001", "40P01", "25P02")

    async def timed(self, awaitable):
        began = time.monotonic()
        result = await awaitable
        self.latencies.append(time.monotonic() - began)
        self.statements += 1
        return result

    async def client(self, number):
        draw = random.Random(number)
        connection, count = await self.connect(number), 0
        while not self.is_over():
            count += 1
            name = f"{number}-{count}"
            kind = draw.random()
            try:
                if kind < 0.4:
                    what = "insert"
                    await self.timed(connection.execute(
                        "INSERT INTO moving VALUES ($1, $2, $3, 'p')", name, number, count))
                    self.rows.add(name)
                    if await self.timed(connection.fetchval("SELECT n FROM moving WHERE id = $1", name)) != count:
                        self.violations.append(f"{name} was acknowledged, and was not read")
                elif kind < 0.6:
                    what = "count"
                    place = draw.randrange(COUNTERS)
                    self.counts[place][1] += 1
                    await self.timed(connection.execute(
                        "UPDATE counter SET value = value + 1 WHERE id = $1", place))
                    self.counts[place][1] -= 1
                    self.counts[place][0] += 1
                elif kind < 0.7:
                    what = "transaction"
                    while True:
                        try:
                            async with connection.transaction():
                                await self.timed(connection.execute(
                                    "INSERT INTO moving VALUES ($1, $2, $3, 'b')", name, number, count))
                                await self.timed(connection.execute(
                                    "INSERT INTO staying VALUES ($1, $2)", name, number))
                            break
                        except asyncpg.PostgresError as error:
                            if not self.options.partitions or error.sqlstate != "40001":
                                raise
                            self.retried += 1
                    self.both.add(name)
                    self.rows.add(name)
                elif kind < 0.95:
                    what = "read"
                    await self.timed(connection.fetchval(
                        "SELECT value FROM counter WHERE id = $1", draw.randrange(COUNTERS)))
                else:
                    what = "range"
                    await self.timed(connection.fetch(
                        "SELECT id FROM moving WHERE client = $1 ORDER BY n DESC LIMIT 5", number))
            except (asyncpg.PostgresError, OSError, asyncio.TimeoutError, asyncpg.InterfaceError) as error:
                is_certain = self.failed(what, error)
                if what == "count" and is_certain:
                    self.counts[place][1] -= 1
                if what in ("insert", "transaction") and name not in self.rows:
                    self.unknown.add(name)
                if not self.options.kills:
                    break
                try:
                    await connection.close(timeout=1)
                except Exception:
                    connection.terminate()
                connection = await self.connect(draw.randrange(3))
        await connection.close()

    async def check(self):
        connection = await self.connect(1)
        found = [row["id"] for row in await connection.fetch("SELECT id FROM moving WHERE client >= 0")]
        names = set(found)
        if len(found) != len(names):
            self.violations.append("rows are there twice")
        if missing := self.rows - names:
            self.violations.append(f"{len(missing)} acknowledged rows are missing: {sorted(missing)[:5]}")
        if extra := names - self.rows - self.unknown:
            self.violations.append(f"{len(extra)} rows are there that nobody wrote: {sorted(extra)[:5]}")
        old = await connection.fetchval("SELECT count(*) FROM moving WHERE client = -1")
        if old != self.options.rows:
            self.violations.append(f"{old} rows of {self.options.rows} are left")
        there = {row["id"] for row in await connection.fetch("SELECT id FROM staying")}
        both = {row["id"] for row in await connection.fetch("SELECT id FROM moving WHERE pad = 'b'")}
        if there != both or self.both - both:
            self.violations.append("a transaction is there in half")
        for place, value in await connection.fetch("SELECT id, value FROM counter"):
            acknowledged, unknown = self.counts[place]
            if not acknowledged <= value <= acknowledged + unknown:
                self.violations.append(f"counter {place} is {value}, not {acknowledged} (+{unknown})")
        await connection.close()

    async def run(self):
        await self.setup()
        if self.options.ready_file:
            open(self.options.ready_file, "w").close()
        self.until = time.monotonic() + self.options.seconds
        await asyncio.gather(*(self.client(number) for number in range(self.options.connections)))
        await self.check()
        self.latencies.sort()
        at = lambda share: round(self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1000, 1)
        print(json.dumps({
            "statements": self.statements, "rows": len(self.rows), "errors": self.errors[:10],
            "violations": self.violations[:10], "retried": self.retried, "unknown": len(self.unknown),
            "p50Milliseconds": at(0.5), "p99Milliseconds": at(0.99), "longestMilliseconds": at(1.0)}))
        return 1 if self.violations or self.errors else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--until-file")
    parser.add_argument("--ready-file")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--kills", action="store_true")
    parser.add_argument("--partitions", type=int, default=0)
    parser.add_argument("--group", action="store_true")
    sys.exit(asyncio.run(Load(parser.parse_args()).run()))


if __name__ == "__main__":
    main()
