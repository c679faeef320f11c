"""How `tools/bench txn` shows its figures."""

from .common import machine_text, write_report
from .meta_report import rows

NAMES = {"kunlog": "Kunlog", "spider": "Spider", "postgresql": "PostgreSQL"}
WORKLOADS = {
    "read": "point read", "update": "single-row update", "one_shard": "transfer within a shard",
    "two_shards": "transfer over two shards", "read_both": "read of both shards",
    "read_both_snapshot": "the same, kunlog.snapshot = 'cluster'",
}


def write(document, path):
    machine = document["machine"]
    rounds = "one round" if document["rounds"] == 1 else f"medians of {document['rounds']} rounds"
    head = (
        f"{machine_text(document)}, Linux {machine['kernel']}, load average {document['load_average']:.1f} before; Kunlog"
        f" (13 processes: two shards of three replicas), MariaDB (two servers and one with Spider in front), PostgreSQL and the"
        f" client, {document['client']}, on this one machine. {2 * document['rows']:,} accounts, half of them on each shard;"
        f" {rounds} of {document['duration']} s, the systems taking turns.")
    write_report(path, "txn", "Transactions over two shards", head, document["command"], table(document))


def table(document):
    parts = []
    if "bars" in document:
        parts.append(bars(document["bars"]))
    if "loads" in document:
        parts += [loads(document["loads"], connections) for connections in sorted(
            {one["connections"] for one in document["loads"]})]
    if "visible" in document:
        parts.append(visible(document["visible"]))
    if "doubt" in document:
        parts.append(doubt(document["doubt"]))
    return "\n\n".join(parts)


def bars(results):
    body = [
        [one["bar"], ("≥ " if one["at_least"] else "≤ ") + f"{one['limit']:,g}",
         "not measured" if one["value"] is None else f"{one['value']:,.2f}",
         {None: "", True: "met", False: "missed"}[one["met"]]] for one in results]
    return rows(["bar", "", "measured", ""], body)


def loads(results, connections):
    body = []
    for one in results:
        if one["connections"] != connections:
            continue
        own = one["systems"].get("kunlog")
        for system, name in NAMES.items():
            figures = one["systems"].get(system)
            if figures is None:
                continue
            compared = own and system != "kunlog"
            body.append([
                WORKLOADS[one["workload"]] if system == "kunlog" else "", name, f"{figures['per_second']:,.0f}",
                f"{figures['p50']:.2f}", f"{figures['p99']:.2f}",
                f"{own['per_second'] / figures['per_second']:.2f}" if compared else "", figures["ignored_errors"] or ""])
    return rows(
        [f"{connections} connection{'s' * (connections > 1)}", "", "per second", "p50 ms", "p99 ms", "Kunlog over it",
         "given up (deadlock, conflict)"], body)


def visible(result):
    body = [
        [label, *(f"{result[key][name]:.2f}" for name in ("p50", "p99", "maximum"))]
        for key, label in (("after", "from the answer to COMMIT"), ("quiet", "the same read, nothing under way"))]
    return (
        f"After each of {result['commits']:,} commits over two shards, another compute node reads both accounts at once;"
        f" {result['stale']} of these reads did not show the new balances:\n\n" + rows(["until the read is answered", "p50 ms", "p99 ms", "maximum ms"], body))


def doubt(result):
    waited = result["milliseconds"]
    text = (
        f"A compute node was killed {result['kills']} times amid transfers of 16 connections; {result['with_transactions_in_doubt']}"
        " times a shard held something prepared and undecided.")
    if waited is None:
        return text
    return text + (
        f" All was decided and carried out after {waited['p50']:,.0f} ms (median), {waited['maximum']:,.0f} ms at most.")
