"""What every benchmark needs: running commands, the machine, percentiles."""

import contextlib
import datetime
import os
import socket
import subprocess
import sys


class Failure(Exception):
    """Something that the user has to know and can act on."""


def progress(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **options):
    """Runs a command to its end; its output, or a Failure with what it said."""
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{' '.join(command[:4])} … did not end within {late.timeout:.0f} s") from None
    if result.returncode != 0:
        raise Failure(f"{' '.join(command[:4])} … ended with {result.returncode}:\n{(result.stderr.strip() or result.stdout.strip())}")
    return result.stdout


def free_ports(count):
    """TCP ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def percentile(values, fraction):
    """Of values in ascending order."""
    return values[min(len(values) - 1, int(len(values) * fraction))] if values else 0.0


def file_system(path):
    """Type of the file system that holds a path: a database in memory would be no comparison."""
    best = ("", "?")
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, point, kind = line.split()[:3]
            inside = os.path.realpath(path) == point or os.path.realpath(path).startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


def require_disk(directory):
    kind = file_system(directory)
    if kind in ("tmpfs", "ramfs"):
        raise Failure(f"{directory} is in memory ({kind}): name a directory on the disk with --scratch")
    return kind


def processor():
    """The processor's name, where the kernel tells it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as information:
        for line in information:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def machine():
    """What the figures depend on."""
    return {
        "processor": processor(),
        "processors": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": os.uname().release,
        "architecture": os.uname().machine,
    }


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def command_line():
    return " ".join(["tools/bench"] + sys.argv[1:])


def check_choices(parser, *options):
    """Refuses lists of words, each (given, known, name), with words that are not known."""
    for given, known, name in options:
        unknown = set(given.split(",")) - set(known)
        if unknown:
            parser.error(f"--{name} knows no {', '.join(sorted(unknown))}")


def bar(text, value, limit, at_least):
    """What is asked for, what was measured (None: nothing), and whether that is enough."""
    met = None if value is None else value >= limit if at_least else value <= limit
    return {"bar": text, "value": value, "limit": limit, "at_least": at_least, "met": met}


def machine_text(document):
    """When, by which program and on what a document was measured."""
    machine = document["machine"]
    return (
        f"{document['date']}, commit {document['commit']}: {machine['processors']} cores ({machine['processor']}),"
        f" {machine['memory_bytes'] / (1 << 30):.0f} GiB, {machine['file_system']}")


def write_report(path, bench, title, head, command, body):
    """Puts what `tools/bench <bench>` measured between the markers of a Markdown file; what people wrote around them stays."""
    begin, end = f"<!-- measured by tools/bench {bench} -->", "<!-- end of what was measured -->"
    block = f"{begin}\n{head}\n\n    {command}\n\n{body}\n{end}"
    text = f"# {title}\n\n{block}\n"
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            old = file.read()
        if begin in old and end in old:
            text = old[:old.index(begin)] + block + old[old.index(end) + len(end):]
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
