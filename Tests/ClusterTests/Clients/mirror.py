"""A mirror table under load, until the file --until-file exists.

Clients insert rows, count up counters, change many rows at once to random values, delete, write the mirror table and another one in one
transaction, and read the mirror table joined with a table of one shard. What holds, and is checked: no statement fails but a
transaction of several that is rolled back with 40001 (it is repeated); every acknowledged row is there once; each counter is what was
acknowledged; what a client wrote it reads, whichever copy answers.

Usage: mirror.py --port PORT --until-file FILE --ready-file FILE [--connections 6] [--rows 2000]
Prints one JSON line; exit status 1 where something does not hold.
"""
import argparse
import asyncio
import json
import os
import random
import sys

import asyncpg

TABLES = """
CREATE TABLE mirror (id text PRIMARY KEY, client int NOT NULL, value bigint NOT NULL DEFAULT 0,
  luck float8 NOT NULL DEFAULT random()) WITH (shard = all);
CREATE TABLE anchor_1 (client int PRIMARY KEY) WITH (shard = 1);
CREATE TABLE anchor_2 (client int PRIMARY KEY) WITH (shard = 2);
CREATE TABLE other (id text PRIMARY KEY, client int NOT NULL) WITH (shard = 2);
"""


class Load:
    def __init__(self, options):
        self.options = options
        self.statements = self.retried = 0
        self.errors, self.violations = [], []
        self.rows, self.both, self.counts = set(), set(), {}

    async def connect(self, number):
        return await asyncpg.connect(
            host="127.0.0.1", port=self.options.port + number % 3, user="abc", password="abc", database="postgres",
            timeout=20)

    async def setup(self):
        connection = await self.connect(0)
        for statement in TABLES.split(";"):
            if statement.strip():
                await connection.execute(statement)
        for table in ("anchor_1", "anchor_2"):
            await connection.execute(f"INSERT INTO {table} SELECT * FROM generate_series(0, {self.options.connections})")
        for first in range(0, self.options.rows, 500):
            await connection.execute(
                "INSERT INTO mirror (id, client) SELECT 'old-' || g, -1 FROM generate_series($1::int, $2::int) g",
                first, min(first + 500, self.options.rows) - 1)
        for number in range(self.options.connections):
            await connection.execute("INSERT INTO mirror (id, client) VALUES ($1, -2)", f"counter-{number}")
        await connection.close()

    async def both_tables(self, connection, name, number):
        while True:
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO mirror (id, client) VALUES ($1, $2)", name, number)
                    await connection.execute("INSERT INTO other VALUES ($1, $2)", name, number)
                return
            except asyncpg.PostgresError as error:
                if error.sqlstate != "40001":
                    raise
                self.retried += 1

    async def client(self, number):
        draw = random.Random(number)
        connection, count, what = await self.connect(number), 0, "begin"
        self.counts[number] = 0
        try:
            while not os.path.exists(self.options.until_file):
                count += 1
                name, kind = f"{number}-{count}", draw.random()
                if kind < 0.35:
                    what = "insert"
                    await connection.execute("INSERT INTO mirror (id, client) VALUES ($1, $2)", name, number)
                    self.rows.add(name)
                    what = "read"
                    anchor = draw.choice(["anchor_1", "anchor_2"])
                    found = await connection.fetchval(
                        f"SELECT m.id FROM mirror m JOIN {anchor} a USING (client) WHERE m.id = $1", name)
                    if found != name:
                        self.violations.append(f"{name} was acknowledged, and was not read beside {anchor}")
                    what = "read alone"
                    if await connection.fetchval("SELECT client FROM mirror WHERE id = $1", name) != number:
                        self.violations.append(f"{name} was acknowledged, and was not read")
                elif kind < 0.6:
                    what = "count"
                    tag = await connection.execute(
                        "UPDATE mirror SET value = value + 1 WHERE id = $1", f"counter-{number}")
                    self.counts[number] += 1
                    if tag != "UPDATE 1":
                        self.violations.append(f"counter {number}: {tag}")
                elif kind < 0.75:
                    what = "random"
                    await connection.execute(
                        "UPDATE mirror SET luck = random() WHERE client = $1 AND value >= 0", draw.choice([number, -1])
                        if draw.random() < 0.1 else number)
                elif kind < 0.85 and self.rows:
                    what = "delete"
                    mine = f"{number}-{draw.randrange(1, count + 1)}"
                    if mine in self.rows and mine not in self.both:
                        self.rows.discard(mine)
                        await connection.execute("DELETE FROM mirror WHERE id = $1", mine)
                else:
                    what = "transaction"
                    await self.both_tables(connection, name, number)
                    self.both.add(name)
                    self.rows.add(name)
                self.statements += 1
        except (asyncpg.PostgresError, OSError, asyncio.TimeoutError, asyncpg.InterfaceError) as error:
            state = getattr(error, "sqlstate", None) or type(error).__name__
            self.errors.append(f"{what}: {state} {error}")
        await connection.close()

    async def check(self):
        connection = await self.connect(1)
        found = [row["id"] for row in await connection.fetch("SELECT id FROM mirror WHERE client >= 0")]
        names = set(found)
        if len(found) != len(names):
            self.violations.append("rows are there twice")
        if names != self.rows:
            self.violations.append(
                f"missing: {sorted(self.rows - names)[:5]}, nobody wrote: {sorted(names - self.rows)[:5]}")
        if {row["id"] for row in await connection.fetch("SELECT id FROM other")} != self.both:
            self.violations.append("a transaction is there in half")
        for number, value in self.counts.items():
            there = await connection.fetchval("SELECT value FROM mirror WHERE id = $1", f"counter-{number}")
            if there != value:
                self.violations.append(f"counter {number} is {there}, not {value}")
        await connection.close()

    async def run(self):
        await self.setup()
        open(self.options.ready_file, "w").close()
        await asyncio.gather(*(self.client(number) for number in range(self.options.connections)))
        await self.check()
        print(json.dumps({
            "statements": self.statements, "rows": len(self.rows), "errors": self.errors[:10],
            "violations": self.violations[:10], "retried": self.retried}))
        return 1 if self.violations or self.errors else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--until-file", required=True)
    parser.add_argument("--ready-file", required=True)
    parser.add_argument("--connections", type=int, default=6)
    parser.add_argument("--rows", type=int, default=2000)
    sys.exit(asyncio.run(Load(parser.parse_args()).run()))


main()
