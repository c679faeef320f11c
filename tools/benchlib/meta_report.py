"""How `tools/bench meta` shows its figures: tables in Markdown, a plot as SVG."""

import math
import os

from .common import machine_text, write_report

NAMES = {"kunlog": "Kunlog", "etcd": "etcd"}
LABELS = {
    "append_1": "append, 1 outstanding", "append_64": "append, 64", "append_1000": "append, 1,000",
    "read_1000": "linearizable read, 1,000", "ping_1": "ping (a request without log), 1",
}


def rows(header, body):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in body])


def milliseconds(microseconds):
    return f"{microseconds / 1000:.2f}"


def table(document):
    parts = []
    if "systems" in document:
        parts += [throughput(document), ratios(document)]
    if "same_rate" in document:
        parts.append(same_rate(document["same_rate"]))
    if document.get("batches"):
        parts.append(batches(document["batches"]))
    if "synchronizations" in document:
        parts.append(synchronizations(document["synchronizations"]))
    if "failover" in document:
        parts.append(failover(document["failover"]))
    if "restart" in document:
        parts.append(restart(document["restart"]))
    if "snapshots" in document:
        parts.append(snapshots(document["snapshots"]))
    if "subscribers" in document:
        parts.append(subscribers(document["subscribers"]))
    if "steady" in document:
        parts.append(steady(document["steady"]))
    return "\n\n".join(parts)


def write(document, path, plot_path):
    machine = document["machine"]
    head = (
        f"{machine_text(document)} on a virtual disk, Linux"
        f" {machine['kernel']}; all six servers and the client on this one machine, {document['transport']}, fsync on,"
        f" values of {document['value_bytes']} B.")
    image = f"\n\n![Throughput and latency]({os.path.basename(plot_path)})" if "systems" in document else ""
    write_report(path, "meta", "The metadata log beside etcd", head, document["command"], table(document) + image)


def throughput(document):
    body = []
    for name, label in LABELS.items():
        for system in NAMES:
            figures = document["systems"][system][name]
            latency = figures["latency_microseconds"]
            body.append([
                label, NAMES[system], f"{figures['per_second']:,.0f}",
                *(milliseconds(latency[key]) for key in ("p50", "p99", "p999")),
                f"{figures['server_seconds_per_1000']:.3f}"])
    floors = document["floor"]
    text = rows(
        ["", "", "per second", "p50 ms", "p99 ms", "p99.9 ms", "server CPU s per 1,000"], body)
    ping = document["systems"]["kunlog"]["ping_1"]["latency_microseconds"]["p50"]
    sync, syncs = floors["fdatasync_microseconds"], floors["fdatasync_of_three_microseconds"]
    p50 = document["systems"]["kunlog"]["append_1"]["latency_microseconds"]["p50"]
    return text + (
        f"\n\nFloor: an append and fdatasync into written blocks takes {sync:.0f} µs (p50), {syncs:.0f} µs while two other"
        f" files do the same; a request over TLS without log {ping:.0f} µs. A round trip to the leader, one to a follower and"
        f" its fdatasync: {2 * ping + sync:.0f} to {2 * ping + syncs:.0f} µs; Kunlog's p50 is {p50:.0f} µs,"
        f" {p50 / (2 * ping + syncs):.2f} to {p50 / (2 * ping + sync):.2f} times that.")


def ratios(document):
    return rows(["Kunlog over etcd", "ratio"], [[name, f"{value:.2f}"] for name, value in document["ratios"].items()])


def same_rate(result):
    body = [
        [NAMES[system], *(milliseconds(result[system][key]) for key in ("p50", "p99", "p999"))] for system in NAMES]
    return f"Appends at the same offered rate, {result['offered_per_second']:,}/s:\n\n" + rows(
        ["", "p50 ms", "p99 ms", "p99.9 ms"], body)


def batches(result):
    body = [
        [name, f"{one['events_per_second']:,.0f}", *(
            milliseconds(one["latency_microseconds"][key]) for key in ("p50", "p99", "p999")),
         f"{one['server_seconds_per_1000_events']:.3f}"]
        for name, one in result.items()]
    return rows(
        ["Kunlog's streamed appends", "events per second", "p50 ms", "p99 ms", "p99.9 ms", "server CPU s per 1,000"], body)


def synchronizations(result):
    body = [
        [NAMES[system], one.get("unavailable") or f"{one['calls_per_append']:.4f}"] for system, one in result.items()]
    return rows(["1,000 outstanding", "fdatasync calls of all three servers per append"], body)


def failover(result):
    body = []
    for name, label in (
            ("killed", "leader killed"), ("stopped", "leader stopped"), ("transferred", "planned transfer"),
            ("disk_stalled", "leader's disk stalled")):
        for system in NAMES:
            one = result.get(system, {}).get(name)
            if one is None:
                continue
            if "unavailable" in one:
                body.append([label, NAMES[system], one["unavailable"], "", "", ""])
            else:
                body.append([label, NAMES[system], one["tries"], one["p50"], one["p99"], one["maximum"]])
    return rows(["until the next acknowledged append", "", "tries", "p50 ms", "p99 ms", "maximum ms"], body)


def restart(result):
    if "unavailable" in result:
        return f"Restart: {result['unavailable']}"
    return (
        f"Restart of a member with {result['events']:,} events after its snapshot, among them the making of"
        f" {result['tables']:,} tables with a key each: {result['seconds']:.2f} s until it has applied them. Memory: {result['memory_bytes'] / 1e6:.0f} MB after writing them,"
        f" {result['memory_after_restart_bytes'] / 1e6:.0f} MB at most after the restart.")


def snapshots(result):
    body = [
        [label, *(milliseconds(result[name][key]) for key in ("p50", "p99", "p999"))]
        for name, label in (("without", "no snapshot"), ("with", "a snapshot after each 8 MB of log"))]
    return (
        f"Appends at {result['offered_per_second']:,}/s with {result['tables']:,} tables in the catalog"
        f" ({result['newer_snapshots_seen']} times a newer snapshot was found between measurements):\n\n"
        + rows(["", "p50 ms", "p99 ms", "p99.9 ms"], body))


def steady(result):
    return (
        f"{result['seconds']:,} s of full load, 1,000 outstanding: {result['per_second']:,.0f} appends/s,"
        f" {result['failed']} failed of {result['completed'] + result['failed']:,}, {result['terms_passed']} elections;"
        f" a member's memory afterwards {result['memory_bytes'] / 1e6:.0f} MB.")


def subscribers(result):
    one, with_one = result["with_all"], result["with_one_subscriber"]
    return (
        f"{one['subscribers']:,} subscribers at one member and {one['stalled']} that never reads: {one['delivered']:,} of"
        f" {one['expected']:,} records delivered, {one['out_of_order']} out of order; from append to subscriber p50"
        f" {milliseconds(one['delivery_microseconds']['p50'])} ms, p99 {milliseconds(one['delivery_microseconds']['p99'])} ms;"
        f" appends meanwhile p50 {milliseconds(one['append_microseconds']['p50'])} ms, p99"
        f" {milliseconds(one['append_microseconds']['p99'])} ms (with one subscriber"
        f" {milliseconds(with_one['append_microseconds']['p50'])} and"
        f" {milliseconds(with_one['append_microseconds']['p99'])} ms). The member's memory:"
        f" {result['memory_before_bytes'] / 1e6:.0f} MB before, {result['memory_after_bytes'] / 1e6:.0f} MB after.")


# The plot.

COLOURS = {"kunlog": "#1b6ca8", "etcd": "#c8553d"}
PANEL_WIDTH, PANEL_HEIGHT, MARGIN = 380, 260, 60


def plot(document):
    """Throughput and latency by outstanding requests, both on logarithmic scales."""
    systems = document["systems"]
    names = ["append_1", "append_64", "append_1000", "read_1000"]
    labels = ["append 1", "append 64", "append 1,000", "read 1,000"]
    rates = {s: [[systems[s][n]["per_second"]] for n in names] for s in NAMES}
    latencies = {
        s: [[systems[s][n]["latency_microseconds"][k] for k in ("p50", "p99")] for n in names] for s in NAMES}
    width, height = 2 * PANEL_WIDTH + 3 * MARGIN, PANEL_HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        panel(MARGIN, "operations per second", labels, rates),
        panel(PANEL_WIDTH + 2 * MARGIN, "latency, µs: p50 (filled) and p99 (outline)", labels, latencies),
    ]
    for position, system in enumerate(NAMES):
        x = MARGIN + position * 90
        parts.append(f'<rect x="{x}" y="{height - 18}" width="10" height="10" fill="{COLOURS[system]}"/>')
        parts.append(f'<text x="{x + 15}" y="{height - 9}">{NAMES[system]}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"


def panel(left, title, labels, values):
    """Bars side by side: per label one per system; of two values the first is filled, the second outlined."""
    every = [v for system in values.values() for group in system for v in group if v > 0]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))

    def y(value):
        return MARGIN + PANEL_HEIGHT * (1 - (math.log10(max(value, 10 ** low)) - low) / max(1, high - low))
    parts = [f'<text x="{left}" y="{MARGIN - 20}" font-weight="bold">{title}</text>']
    for exponent in range(low, high + 1):
        line = y(10 ** exponent)
        parts.append(
            f'<line x1="{left}" x2="{left + PANEL_WIDTH}" y1="{line:.1f}" y2="{line:.1f}" stroke="#dddddd"/>'
            f'<text x="{left - 5}" y="{line + 4:.1f}" text-anchor="end">{10 ** exponent:,}</text>')
    slot, bar, base = PANEL_WIDTH / len(labels), PANEL_WIDTH / len(labels) / 3, MARGIN + PANEL_HEIGHT
    for place, label in enumerate(labels):
        for number, (system, groups) in enumerate(values.items()):
            x = left + place * slot + bar * (number + 0.5)
            for order, value in enumerate(groups[place]):
                top = y(value)
                fill = COLOURS[system] if order == 0 else "none"
                parts.append(
                    f'<rect x="{x:.1f}" y="{top:.1f}" width="{bar - 3:.1f}" height="{base - top:.1f}" fill="{fill}"'
                    f' stroke="{COLOURS[system]}"/>')
            parts.append(
                f'<text x="{x + bar / 2 - 1.5:.1f}" y="{y(max(groups[place])) - 4:.1f}" text-anchor="middle"'
                f' font-size="9">{groups[place][0]:,.0f}</text>')
        parts.append(f'<text x="{left + (place + 0.5) * slot:.1f}" y="{base + 16}" text-anchor="middle">{label}</text>')
    return "\n".join(parts)
