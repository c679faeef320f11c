"""How `tools/bench moves` shows its figures."""

import os

from .common import machine_text, write_report
from .meta_report import rows
from .txn_report import bars

WIDTH, HEIGHT, MARGIN = 820, 260, 60
STEPS = {
    "MigrationPlanned": "planned", "MigrationLoaded": "loaded", "MigrationWritesCut": "cut", "TabletRouted": ""}


def write(document, path):
    machine = document["machine"]
    head = (
        f"{machine_text(document)}, Linux {machine['kernel']}, load average {document['load_average']:.1f} before; Kunlog (13"
        " processes: two shards of three replicas), its peers and the clients on this one machine.")
    body = table(document)
    if "load" in document:
        plot = os.path.splitext(path)[0] + ".svg"
        with open(plot, "w", encoding="utf-8") as file:
            file.write(curve(document["load"]["curve"]))
        body += f"\n\n![statements per second while a table moves]({os.path.basename(plot)})"
    write_report(path, "moves", "Tables that move from shard to shard", head, document["command"], body)


def table(document):
    parts = [bars(document["bars"])]
    if "load" in document:
        parts.append(load(document["load"], document["connections"]))
    if "copy" in document:
        parts.append(copy(document["copy"]))
    if "shard" in document:
        parts.append(
            f"A new shard of three replicas: `shard add` takes {document['shard']['add_seconds']} s; a table is made on it and"
            f" has its first row {document['shard']['first_row_seconds']} s after that.")
    if "catalog" in document:
        parts.append(catalog(document["catalog"]))
    return "\n\n".join(parts)


def load(result, connections):
    body = [
        [number + 1, f"{move['seconds']:.1f}", f"{move['before']:,}", f"{move['during']:,}",
         f"{move['during'] / move['before']:.2f}", f"{move['cut_milliseconds']:.0f}"]
        for number, move in enumerate(result["moves"])]
    stalled = result["stalled"]
    return (
        f"{connections} clients, 70 % point reads and 30 % single-row updates of a table of {result['megabytes']:,} MB, which moves there"
        f" and back; {result['statements']:,} statements, {result['failures']} failed. The {stalled['statements']:,} that met a cut took"
        f" p50 {stalled['p50']} ms, p99 {stalled['p99']} ms, at most {stalled['maximum']} ms.\n\n"
        + rows(["move", "s", "statements/s before", "copy and catch-up", "ratio", "cut, ms"], body))


def copy(result):
    names = {"kunlog": "kunlog table move --throttle 0", "mysqldump": "mariadb-dump \\| mariadb"}
    return (
        f"A table of {result['megabytes']:,} MB, {result['rows']:,} rows; nobody uses it.\n\n"
        + rows(["", "s, round by round"], [
            [names[name], ", ".join(f"{one:.1f}" for one in seconds)] for name, seconds in result["seconds"].items()]))


def catalog(result):
    starts = [
        [number + 1, one["connected_seconds"], one["row_seconds"], one["listed_seconds"], one["counted_seconds"],
         f"{one['memory_megabytes']:,}"]
        for number, one in enumerate(result["starts"])]
    made = result["made"]
    parts = [
        f"{made['by_sql']:,} by CREATE TABLE over {result['connections']} connections in {made['by_sql_seconds']:,.0f} s"
        f" ({made['by_sql'] / max(made['by_sql_seconds'], 0.1):,.0f}/s)"]
    if made["by_commands"]:
        parts.append(
            f"{made['by_commands']:,} by the same commands, sent to the log a hundred in a record, in"
            f" {made['by_commands_seconds']:,.0f} s ({made['by_commands'] / max(made['by_commands_seconds'], 0.1):,.0f}/s)")
    return (
        f"A catalog of {result['tables']:,} tables: {'; '.join(parts)}; {made['on_shards_seconds']:,.0f} s later all replicas had their"
        " files. Then new compute nodes, one after another, asked one question after another, in s since each one's process began:\n\n"
        + rows(["", "a client is let in", "a row of a table", "`\\dt` of one table", "all tables counted", "memory, MB"], starts))


def curve(result):
    """Statements per second over time."""
    values, seconds = result["per_second"], result["seconds"]
    top = max(values + [1])

    def x(time):
        return MARGIN + WIDTH * time / (len(values) * seconds)

    def y(value):
        return MARGIN + HEIGHT * (1 - value / top)
    points = " ".join(f"{x((place + 0.5) * seconds):.1f},{y(value):.1f}" for place, value in enumerate(values))
    width, height = WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{MARGIN}" y="{MARGIN - 34}" font-weight="bold">statements per second while a table moves</text>']
    for quarter in range(5):
        value = top * quarter / 4
        parts.append(
            f'<line x1="{MARGIN}" x2="{MARGIN + WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#dddddd"/>'
            f'<text x="{MARGIN - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.0f}</text>')
    for kind, label in STEPS.items():
        place = x(result["steps"][kind])
        parts.append(
            f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{MARGIN - 10}" y2="{MARGIN + HEIGHT}" stroke="#c8553d"'
            f' stroke-dasharray="4 3"/><text x="{place + 3:.1f}" y="{MARGIN - 12}" fill="#c8553d">{label}</text>')
    for second in range(0, int(len(values) * seconds) + 1, 5):
        parts.append(f'<text x="{x(second):.1f}" y="{MARGIN + HEIGHT + 18}" text-anchor="middle">{second} s</text>')
    parts.append(f'<polyline points="{points}" fill="none" stroke="#1b6ca8" stroke-width="1.5"/>')
    return "\n".join(parts + ["</svg>"]) + "\n"
