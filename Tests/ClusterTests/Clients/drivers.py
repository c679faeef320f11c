"""asyncpg, psycopg 3 and SQLAlchemy against a running cluster: connect, create, insert with parameters, read every type back.

Usage: drivers.py PORT; exit status 1 and a traceback where something is not as expected.
"""
import asyncio
import datetime as dt
import decimal
import json
import sys
import uuid

import asyncpg
import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

PORT = int(sys.argv[1])
DSN = f"postgresql://abc:abc@127.0.0.1:{PORT}/postgres"
UTC = dt.timezone.utc

COLUMNS = [
    ("c_bool", "boolean", [True, False, None]),
    ("c_int2", "int2", [32767, -32768, None]),
    ("c_int4", "int4", [2147483647, -2147483648, None]),
    ("c_int8", "int8", [9223372036854775807, -9223372036854775808, None]),
    ("c_numeric", "numeric(30,10)", [decimal.Decimal("12345678901234567890.0123456789"), decimal.Decimal("-0.5000000000"), None]),
    ("c_float4", "float4", [1.5, -0.25, None]),
    ("c_float8", "float8", [0.1, -1e300, None]),
    ("c_text", "text", ["grün 漢字 🙂", "", None]),
    ("c_varchar", "varchar(10)", ["ten chars!", "x", None]),
    ("c_char", "char(4)", ["ab  ", "wxyz", None]),
    ("c_bytea", "bytea", [b"\x00\x01\xff", b"", None]),
    ("c_date", "date", [dt.date(2024, 2, 29), dt.date(1970, 1, 1), None]),
    ("c_time", "time", [dt.time(23, 59, 59, 999999), dt.time(0, 0), None]),
    ("c_timestamp", "timestamp", [dt.datetime(2024, 2, 29, 12, 34, 56, 789012), dt.datetime(1999, 12, 31, 0, 0), None]),
    ("c_timestamptz", "timestamptz",
     [dt.datetime(2024, 2, 29, 12, 34, 56, 789012, UTC), dt.datetime(1969, 7, 20, 20, 17, 40, 0, UTC), None]),
    ("c_interval", "interval", [dt.timedelta(days=3, hours=4, microseconds=5), dt.timedelta(0), None]),
    ("c_uuid", "uuid", [uuid.UUID("12345678-1234-5678-1234-567812345678"), uuid.UUID(int=0), None]),
    ("c_jsonb", "jsonb", [{"a": [1, 2.5, None, True], "b": "x"}, [], None]),
]
NAMES = [name for name, _, _ in COLUMNS]
DEFINITION = ", ".join(f"{name} {kind}" for name, kind, _ in COLUMNS)


def rows():
    return [tuple(values[i] for _, _, values in COLUMNS) for i in range(3)]


def same(driver, expected, got):
    assert len(expected) == len(got), (driver, expected, got)
    for name, left, right in zip(NAMES, expected, got):
        if name == "c_jsonb" and isinstance(right, str):
            right = json.loads(right)
        assert left == right and (right is None or isinstance(right, type(left))), f"{driver} {name}: wrote {left!r}, read {right!r}"


async def check_asyncpg():
    connection = await asyncpg.connect(DSN)
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    await connection.execute("DROP TABLE IF EXISTS types_asyncpg")
    await connection.execute(f"CREATE TABLE types_asyncpg (id int PRIMARY KEY, {DEFINITION})")
    places = ", ".join(f"${i + 1}" for i in range(len(COLUMNS) + 1))
    for number, row in enumerate(rows()):
        await connection.execute(f"INSERT INTO types_asyncpg VALUES ({places})", number, *row)
    for number, row in enumerate(rows()):
        got = await connection.fetchrow(f"SELECT {', '.join(NAMES)} FROM types_asyncpg WHERE id = $1", number)
        same("asyncpg", row, tuple(got.values()))
    statement = await connection.prepare("SELECT id FROM types_asyncpg WHERE id >= $1 ORDER BY id")
    assert [r["id"] for r in await statement.fetch(1)] == [1, 2]
    async with connection.transaction():
        await connection.execute("DELETE FROM types_asyncpg WHERE id = 2")
    assert await connection.fetchval("SELECT count(*) FROM types_asyncpg") == 2
    try:
        await connection.execute("INSERT INTO types_asyncpg (id) VALUES (1)")
        raise AssertionError("a duplicate key was taken")
    except asyncpg.UniqueViolationError as error:
        assert error.constraint_name == "types_asyncpg_pkey", error.constraint_name
    await connection.copy_records_to_table("types_asyncpg", records=[(10,), (11,)], columns=["id"])
    assert await connection.fetchval("SELECT count(*) FROM types_asyncpg") == 4
    await connection.close()


def check_psycopg():
    for binary in (False, True):
        with psycopg.connect(DSN) as connection, connection.cursor(binary=binary) as cursor:
            cursor.execute("DROP TABLE IF EXISTS types_psycopg")
            cursor.execute(f"CREATE TABLE types_psycopg (id int PRIMARY KEY, {DEFINITION})")
            places = ", ".join(["%s"] * (len(COLUMNS) + 1))
            for number, row in enumerate(rows()):
                values = [psycopg.types.json.Jsonb(v) if n == "c_jsonb" and v is not None else v for n, v in zip(NAMES, row)]
                cursor.execute(f"INSERT INTO types_psycopg VALUES ({places})", [number, *values])
            for number, row in enumerate(rows()):
                cursor.execute(f"SELECT {', '.join(NAMES)} FROM types_psycopg WHERE id = %s", [number])
                same(f"psycopg binary={binary}", row, cursor.fetchone())
            connection.commit()
            with cursor.copy("COPY types_psycopg (id, c_text) FROM STDIN") as copy:
                copy.write_row((20, "twenty"))
            connection.commit()
            cursor.execute("SELECT c_text FROM types_psycopg WHERE id = 20")
            assert cursor.fetchone() == ("twenty",)


def check_sqlalchemy():
    kinds = [
        sa.Boolean, sa.SmallInteger, sa.Integer, sa.BigInteger, sa.Numeric(30, 10), sa.REAL, sa.Double, sa.Text, sa.String(10),
        sa.CHAR(4), sa.LargeBinary, sa.Date, sa.Time, sa.DateTime, sa.DateTime(timezone=True), sa.Interval, sa.Uuid,
        postgresql.JSONB(none_as_null=True),
    ]
    engine = sa.create_engine(DSN.replace("postgresql://", "postgresql+psycopg://"))
    metadata = sa.MetaData()
    table = sa.Table(
        "types_sqlalchemy", metadata, sa.Column("id", sa.Integer, primary_key=True),
        *[sa.Column(name, kind) for name, kind in zip(NAMES, kinds)])
    metadata.drop_all(engine)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for row in rows():
            connection.execute(table.insert().values(**dict(zip(NAMES, row))))
    with engine.connect() as connection:
        got = connection.execute(sa.select(table).order_by(table.c.id)).fetchall()
    assert [row[0] for row in got] == [1, 2, 3], got
    for expected, row in zip(rows(), got):
        same("sqlalchemy", expected, tuple(row[1:]))
    assert "types_sqlalchemy" in sa.inspect(engine).get_table_names()
    columns = [c["name"] for c in sa.inspect(engine).get_columns("types_sqlalchemy")]
    assert columns == ["id"] + NAMES, columns
    engine.dispose()


def main():
    checks = {"asyncpg": lambda: asyncio.run(check_asyncpg()), "psycopg": check_psycopg, "sqlalchemy": check_sqlalchemy}
    for name in sys.argv[2:] or checks:
        checks[name]()
        print(f"{name}: every type went there and back")


main()
