"""How `tools/bench watch` shows its figures."""

from .common import machine_text, write_report
from .meta_report import NAMES, milliseconds, rows

KIBIBYTE = 1024


def write(document, path):
    machine = document["machine"]
    servers = "one server" if document["members"] == 1 else f"{document['members']} servers"
    head = (
        f"{machine_text(document)}, Linux {machine['kernel']};"
        f" {servers} of each system and the client that appends and subscribes on this one machine, gRPC over mutual TLS,"
        f" fsync on; {document['rate']:,} records/s of {document['value_bytes']} B, medians of {document['rounds']} rounds of"
        f" {document['duration']:.0f} s.")
    write_report(
        path, "watch", "Subscribers of the metadata log beside watchers of etcd", head, document["command"],
        table(document))


def table(document):
    parts = []
    if "load" in document:
        parts.append(load(f"{document['subscribers']:,} subscribers on {document['connections']:,} connections",
                          document["load"]))
    if "connection_each" in document:
        parts.append(load(f"{document['subscribers']:,} subscribers, each on a connection of its own",
                          document["connection_each"]))
    if "stalled" in document:
        parts.append(load("the same on shared connections, and one that never reads", document["stalled"]))
        if "load" in document:
            parts.append(cost(document))
    if "idle" in document:
        parts.append(idle(document["idle"]))
    return "\n\n".join(parts)


def load(title, result):
    body = []
    for system, one in result.items():
        lag = one["lag_microseconds"]
        expected = max(1, one["expected"])
        body.append([
            NAMES[system], f"{100 * one['delivered'] / expected:.1f} %",
            f"{one['delivered'] / one['seconds']:,.0f}",
            *(milliseconds(lag[key]) for key in ("p50", "p99", "p999")),
            milliseconds(one["append_microseconds"]["p99"]),
            f"{one['server_seconds'] / one['seconds']:.2f}", f"{one['client_seconds'] / one['seconds']:.2f}",
            f"{(one['memory_idle_bytes'] - one['memory_before_bytes']) / one['subscribers'] / KIBIBYTE:.1f}",
            f"{(one['memory_active_bytes'] - one['memory_before_bytes']) / one['subscribers'] / KIBIBYTE:.1f}",
            one.get("failure") or ""])
    return rows(
        [title, "delivered", "deliveries/s", "lag p50 ms", "p99 ms", "p99.9 ms", "append p99 ms", "server cores",
         "client cores", "KiB per idle subscriber", "KiB per active one", ""], body)


def cost(document):
    parts = []
    for system, name in NAMES.items():
        without, with_one = document["load"][system], document["stalled"][system]
        if not without["delivered"] or not with_one["delivered"]:
            parts.append(f"{name}: it delivered nothing of what was measured within 15 s, with or without")
            continue
        times = [one["server_seconds"] / max(1, one["delivered"]) for one in (without, with_one)]
        lags = [one["lag_microseconds"]["p50"] for one in (without, with_one)]
        parts.append(
            f"{name}: {100 * (times[1] / times[0] - 1):+.1f} % of the server's processor time per delivery,"
            f" {100 * (lags[1] / lags[0] - 1):+.1f} % of the median lag")
    return "One subscriber that never reads costs the others: " + "; ".join(parts) + "."


def idle(result):
    body = []
    for name, systems in result.items():
        for system, one in systems.items():
            label = "connections of their own" if name == "own" else f"{one['connections']:,} connections"
            body.append([
                f"{one['subscribers']:,} idle subscribers, {label}", NAMES[system],
                f"{(one['memory_idle_bytes'] - one['memory_before_bytes']) / one['subscribers'] / KIBIBYTE:.1f}",
                f"{one['server_seconds'] / one['seconds']:.3f}", one.get("failure") or ""])
    return rows(["", "", "KiB per subscriber", "server cores", ""], body)
