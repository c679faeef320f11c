"""How `tools/bench log` shows its figures."""

from .common import machine_text, write_report
from .meta_report import rows


def write(document, path):
    machine = document["machine"]
    head = (
        f"{machine_text(document)}, Linux {machine['kernel']}, load average"
        f" {document['load_average']:.1f} at the beginning; one meta node and the client on this one machine, gRPC over mutual"
        f" TLS, fsync on, the whole history kept.")
    write_report(
        path, "log", "Audits of a long metadata log, routes of a large catalog", head, document["command"],
        table(document))


def table(document):
    parts = []
    if "history" in document:
        parts.append(history(document))
    if "routes" in document:
        parts.append(routes(document["routes"]))
    return "\n\n".join(parts)


def history(document):
    columns = document["history"]
    def row(title, text):
        return [title, *(text(one) for one in columns)]
    def image(key):
        return lambda one: f"{one['image_microseconds'][key] / 1000:,.0f}"
    def proof(key):
        return lambda one: f"{one['proof_microseconds'][key]:,.0f}"
    return rows(
        [f"a log of {document['events']:,} events, of which", *(f"{one['tables']:,} tables" for one in columns)],
        [
            row("records", lambda one: f"{one['verify']['records']:,}"),
            row("bytes of log and archive, MiB", lambda one: f"{one['verify']['bytes'] / (1 << 20):,.0f}"),
            row("`log verify`, stopped: s", lambda one: f"{one['verify']['seconds']:.2f}"),
            row("events/s", lambda one: f"{one['events'] / one['verify']['seconds']:,.0f}"),
            row("its processor time, s", lambda one: f"{one['verify_cpu_seconds']:.2f}"),
            row("events per second of processor time", lambda one: f"{one['events'] / one['verify_cpu_seconds']:,.0f}"),
            row("`log replay`, over RPC: s", lambda one: f"{one['replay_seconds']:.2f}"),
            row("events/s", lambda one: f"{one['events'] / one['replay_seconds']:,.0f}"),
            row("image at a random index: p50 ms", image("p50")),
            row("p99 ms", image("p99")),
            row("slowest ms", image("maximum")),
            row("proof, mean at the server: µs", lambda one: f"{one['prove_server_seconds'] * 1e6:,.0f}"),
            row("within 1 ms at the server", lambda one: f"{one['prove_within_millisecond'] * 100:.1f} %"),
            row("proof, at the client: p50 µs", proof("p50")),
            row("p99 µs", proof("p99")),
            row("memory of the node after it all, MiB", lambda one: f"{one['memory_bytes'] / (1 << 20):,.0f}"),
        ])


def routes(columns):
    def row(title, text):
        return [title, *(text(one) for one in columns)]
    def figure(name, key, digits):
        return lambda one: f"{one[name][key]:,.{digits}f}"
    return rows(
        ["one change of a route, to one consumer", *(f"{one['tablets']:,} tablets" for one in columns)],
        [
            row("messages", lambda one: f"{one['messages']:.2f}"),
            row("bytes", lambda one: f"{one['minimum_bytes']} to {one['maximum_bytes']}"),
            row("fold into the consumer's image: p50 µs", figure("fold_microseconds", "p50", 1)),
            row("p99 µs", figure("fold_microseconds", "p99", 1)),
            row("from the request to the subscriber: p50 µs", figure("delivery_microseconds", "p50", 0)),
            row("p99 µs", figure("delivery_microseconds", "p99", 0)),
        ])
