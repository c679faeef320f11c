"""Transactions over two shards through asyncpg and psycopg, and a deadlock between two compute nodes.

Usage: transactions.py PORT, with tables a (shard 1) and b (shard 2), each with a row (id 1, v). Exit status 1 and a traceback
where something is not as expected.
"""
import asyncio
import sys

import asyncpg
import psycopg

PORT = int(sys.argv[1])
DSN = "postgresql://abc:abc@127.0.0.1:{}/postgres"
BOTH = "SELECT (SELECT v FROM a WHERE id = 1), (SELECT v FROM b WHERE id = 1)"


async def with_asyncpg():
    connection = await asyncpg.connect(DSN.format(PORT))
    before = tuple(await connection.fetchrow(BOTH))
    async with connection.transaction():
        await connection.execute("UPDATE a SET v = v + $1 WHERE id = 1", 1)
        try:
            async with connection.transaction():  # a savepoint
                await connection.execute("UPDATE b SET v = v + $1 WHERE id = 1", 1000)
                raise ValueError
        except ValueError:
            pass
        await connection.execute("UPDATE b SET v = v + $1 WHERE id = 1", 2)
    assert tuple(await connection.fetchrow(BOTH)) == (before[0] + 1, before[1] + 2)
    try:
        async with connection.transaction():
            await connection.execute("UPDATE a SET v = 0")
            await connection.execute("UPDATE b SET v = 0")
            raise ValueError
    except ValueError:
        pass
    assert tuple(await connection.fetchrow(BOTH)) == (before[0] + 1, before[1] + 2)
    await connection.close()
    print("asyncpg: both shards, or none")


def with_psycopg():
    with psycopg.connect(DSN.format(PORT + 1)) as connection:
        before = connection.execute(BOTH).fetchone()
        with connection.transaction():
            connection.execute("UPDATE a SET v = v + %s WHERE id = 1", (3,))
            with connection.transaction():
                connection.execute("UPDATE b SET v = v + %s WHERE id = 1", (4,))
        connection.commit()
        assert connection.execute(BOTH).fetchone() == (before[0] + 3, before[1] + 4)
        connection.execute("UPDATE a SET v = 0")
        connection.execute("UPDATE b SET v = 0")
        connection.rollback()
        assert connection.execute(BOTH).fetchone() == (before[0] + 3, before[1] + 4)
    print("psycopg: both shards, or none")


async def deadlock():
    connections = [await asyncpg.connect(DSN.format(PORT + number)) for number in range(2)]
    first = [connection.transaction() for connection in connections]
    for transaction in first:
        await transaction.start()
    await connections[0].execute("UPDATE a SET v = v + 1")
    await connections[1].execute("UPDATE b SET v = v + 1")
    results = await asyncio.wait_for(
        asyncio.gather(
            connections[0].execute("UPDATE b SET v = v + 1"), connections[1].execute("UPDATE a SET v = v + 1"),
            return_exceptions=True), 30)
    failed = [result for result in results if isinstance(result, BaseException)]
    assert len(failed) == 1 and failed[0].sqlstate == "40P01", results
    for transaction, result in zip(first, results):
        if isinstance(result, BaseException):
            await transaction.rollback()
        else:
            await transaction.commit()
    for connection in connections:
        await connection.close()
    print("deadlock: one of two got 40P01")


asyncio.run(with_asyncpg())
with_psycopg()
asyncio.run(deadlock())
