"""What moves have left behind at the storage nodes of a quick start, and whether the replicas of each shard hold the same rows.

Usage: leftovers.py --data DIR. Prints one JSON line: {"problems": [...], "tablets": {"1": ["t1.sqlite"], ...}}.
"""
import argparse
import hashlib
import json
import os
import re
import sqlite3
import urllib.request

GAUGES = (
    "kunlog_storage_fenced_tablets", "kunlog_storage_arriving_tablets", "kunlog_storage_move_snapshots",
    "kunlog_storage_move_steps")


def digest(path):
    """Of all rows, in an order that does not depend on how they came."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith(("_kunlog", "sqlite_"))]
        result = hashlib.sha256()
        for name in sorted(names):
            rows = connection.execute('SELECT * FROM "%s"' % name.replace('"', '""'))
            for row in sorted(repr(row) for row in rows):
                result.update(row.encode())
        return result.hexdigest()
    finally:
        connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    data = parser.parse_args().data
    with open(os.path.join(data, "cluster.json"), encoding="utf-8") as file:
        processes = json.load(file)["processes"]
    problems, shards = [], {}
    for process in processes:
        if process["role"] != "storage":
            continue
        name = process["name"]
        try:
            text = urllib.request.urlopen(
                f"http://127.0.0.1:{process['metrics_port']}/metrics", timeout=5).read().decode()
        except OSError as error:
            problems.append(f"{name} does not answer: {error}")
            continue
        for gauge in GAUGES:
            value = re.search(rf"^{gauge}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
            if value is None:
                problems.append(f"{name} does not report {gauge}")
            elif float(value[1]) > 0:
                problems.append(f"{name}: {gauge} is {value[1]}")
        folder = os.path.join(data, name, "tablets", "tablets")
        files = sorted(file for file in os.listdir(folder) if file.endswith(".sqlite"))
        shards.setdefault(str(process["shard"]), []).append(
            (name, {file: digest(os.path.join(folder, file)) for file in files}))
    for shard, replicas in sorted(shards.items()):
        first, tablets = replicas[0]
        for name, others in replicas[1:]:
            if others.keys() != tablets.keys():
                problems.append(f"{name} has {sorted(others)}, {first} has {sorted(tablets)}")
            for file in sorted(others.keys() & tablets.keys()):
                if others[file] != tablets[file]:
                    problems.append(f"the rows of {file} differ at {name} and {first}")
    print(json.dumps({
        "problems": problems, "tablets": {shard: sorted(replicas[0][1]) for shard, replicas in shards.items()}}))


if __name__ == "__main__":
    main()
