"""The bank: transfers between random accounts over two shards, while processes are killed.

Each client moves money between two accounts and writes a line into a ledger, in one transaction. What holds, and is checked:
the total is the same in every consistent read and at the end; every acknowledged transfer is in the ledger, none that was
refused is; each account's balance is what the ledger makes of it; nothing is in doubt five seconds after the last kill.

Usage: bank.py --kunlog PROGRAM --data DIR --port PORT [--seconds 20] [--kill-every 5] [--connections 16] [--seed 1]
Prints one JSON line; exit status 1 where something does not hold.
"""
import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time

import asyncpg

ACCOUNTS = 200
START = 1000
# A statement that failed with one of these has left nothing behind: the transfer is tried again as another one.
REFUSED = {"40001", "40P01", "55P03", "57014", "25P02"}

PARTITIONS = 16


def partitioned(name, columns):
    """A table whose partitions take turns between the two shards."""
    statements = [f"CREATE TABLE {name} ({columns}) PARTITION BY HASH (id)"]
    for number in range(PARTITIONS):
        statements.append(
            f"CREATE TABLE {name}_{number} PARTITION OF {name} "
            f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number}) WITH (shard = {number % 2 + 1})")
    return statements


TABLES = ";".join(
    partitioned("account", "id int PRIMARY KEY, balance bigint NOT NULL")
    + partitioned("ledger", "id text PRIMARY KEY, source int, target int, amount int"))


class Bank:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.deadline = 0.0
        self.acknowledged, self.refused, self.unknown = set(), set(), set()
        self.reads = 0
        self.violations = []
        self.kills = []
        self.longest = 0.0

    async def connect(self, node):
        return await asyncpg.connect(
            host="127.0.0.1", port=self.options.port + node % 3, user="abc", password="abc", database="postgres",
            timeout=10, statement_cache_size=0)

    async def setup(self):
        connection = await self.connect(0)
        await connection.execute(TABLES)
        await connection.execute(
            f"INSERT INTO account SELECT g, {START} FROM generate_series(1, {ACCOUNTS}) g")
        await connection.close()

    async def client(self, number):
        """One connection after another, transfer after transfer."""
        connection, count = None, 0
        draw = random.Random(self.options.seed * 1000 + number)
        while time.monotonic() < self.deadline:
            count += 1
            name = f"{number}-{count}"
            source, target = draw.sample(range(1, ACCOUNTS + 1), 2)
            amount = draw.randint(1, 50)
            began, asked_commit = time.monotonic(), False
            try:
                if connection is None or connection.is_closed():
                    connection = await self.connect(draw.randrange(3))
                # Most take the accounts in one order; the others meet in deadlocks now and then.
                steps = [(source, -amount), (target, amount)]
                if draw.random() < 0.9:
                    steps.sort()
                transaction = connection.transaction()
                await transaction.start()
                for account, change in steps:
                    await connection.execute(
                        "UPDATE account SET balance = balance + $1 WHERE id = $2", change, account)
                await connection.execute("INSERT INTO ledger VALUES ($1, $2, $3, $4)", name, source, target, amount)
                asked_commit = True
                await transaction.commit()
                self.acknowledged.add(name)
                self.longest = max(self.longest, time.monotonic() - began)
            except asyncpg.PostgresError as error:
                if error.sqlstate in REFUSED or not asked_commit:
                    self.refused.add(name)
                else:
                    self.unknown.add(name)
                await self.give_up(connection)
                connection = None
            except (OSError, asyncio.TimeoutError, asyncpg.InterfaceError):
                (self.unknown if asked_commit else self.refused).add(name)
                await self.give_up(connection)
                connection = None
                await asyncio.sleep(0.05)
        if connection is not None:
            await self.give_up(connection)

    @staticmethod
    async def give_up(connection):
        if connection is None:
            return
        try:
            await connection.close(timeout=2)
        except Exception:
            connection.terminate()

    async def reader(self):
        """Consistent reads: the total is constant, whatever is under way."""
        connection = None
        while time.monotonic() < self.deadline:
            try:
                if connection is None or connection.is_closed():
                    connection = await self.connect(self.random.randrange(3))
                    await connection.execute("SET kunlog.snapshot = 'cluster'")
                total = await connection.fetchval("SELECT sum(balance) FROM account")
                self.reads += 1
                if total != ACCOUNTS * START:
                    self.violations.append(f"a consistent read saw {total} in all, not {ACCOUNTS * START}")
            except (asyncpg.PostgresError, OSError, asyncio.TimeoutError, asyncpg.InterfaceError):
                await self.give_up(connection)
                connection = None
            await asyncio.sleep(0.02)
        await self.give_up(connection)

    async def killer(self):
        """kill -9 of a random process, again and again."""
        if self.options.kill_every <= 0:
            return
        while time.monotonic() + self.options.kill_every < self.deadline:
            await asyncio.sleep(self.options.kill_every)
            victims = [p for p in self.processes() if p.get("pid") and p["state"] == "running"]
            if not victims:
                continue
            victim = self.random.choice(victims)
            os.kill(victim["pid"], signal.SIGKILL)
            self.kills.append(victim["name"])

    def processes(self):
        text = subprocess.run(
            [self.options.kunlog, "quickstart", "status", "--data", self.options.data, "--json"], check=True,
            capture_output=True, text=True).stdout
        return json.loads(text)["processes"]

    def in_doubt(self):
        text = subprocess.run(
            [self.options.kunlog, "txn", "list", "--data", self.options.data, "--json"], check=True,
            capture_output=True, text=True).stdout
        return [t for t in json.loads(text)["transactions"] if t["state"] in ("prepared", "in doubt")]

    async def check(self):
        await asyncio.sleep(5)
        doubt = self.in_doubt()
        if doubt:
            self.violations.append(f"in doubt 5 s after the end: {doubt}")
        connection = await self.connect(0)
        rows = {r["id"]: r for r in await connection.fetch("SELECT * FROM ledger")}
        accounts = {r["id"]: r["balance"] for r in await connection.fetch("SELECT * FROM account")}
        await connection.close()
        if sum(accounts.values()) != ACCOUNTS * START:
            self.violations.append(f"the total is {sum(accounts.values())}")
        lost = self.acknowledged - rows.keys()
        if lost:
            self.violations.append(f"{len(lost)} acknowledged transfers are lost: {sorted(lost)[:5]}")
        ghosts = rows.keys() & self.refused
        if ghosts:
            self.violations.append(f"{len(ghosts)} refused transfers took place: {sorted(ghosts)[:5]}")
        wanted = {number: START for number in accounts}
        for row in rows.values():
            wanted[row["source"]] -= row["amount"]
            wanted[row["target"]] += row["amount"]
        wrong = [number for number in accounts if accounts[number] != wanted[number]]
        if wrong:
            self.violations.append(f"{len(wrong)} balances are not what the ledger says: {wrong[:5]}")

    async def run(self):
        await self.setup()
        self.deadline = time.monotonic() + self.options.seconds
        await asyncio.gather(
            self.killer(), self.reader(), *(self.client(number) for number in range(self.options.connections)))
        await self.check()
        print(json.dumps({
            "acknowledged": len(self.acknowledged), "refused": len(self.refused), "unknown": len(self.unknown),
            "consistentReads": self.reads, "kills": self.kills, "longestSeconds": round(self.longest, 3),
            "violations": self.violations}))
        return not self.violations


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kunlog", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--kill-every", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    sys.exit(0 if asyncio.run(Bank(parser.parse_args()).run()) else 1)


main()
