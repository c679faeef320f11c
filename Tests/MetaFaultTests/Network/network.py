"""A network between namespaces that loses, delays and splits.

usage: network.py NAME COUNT PREFIX

Makes COUNT network namespaces NAME-1 … NAME-COUNT with the addresses PREFIX.1 … (PREFIX is three numbers, as 10.77.0), and
one more member, this process's own namespace, at PREFIX.100. Each is a TUN device whose packets this program carries to the others, so it needs root and
/dev/net/tun, but no netem and no packet filter in the kernel. Prints "ready", then takes one command per line on standard
input and answers "ok":

  drop P             each packet between namespaces is lost with probability P (0 … 1)
  delay LOW HIGH     each packet between namespaces takes LOW to HIGH milliseconds, in order
  cut A B            nothing goes from A to B (numbers of namespaces; 100: this process's own)
  heal               nothing is lost, delayed or cut any more

The namespaces are removed when standard input ends.
"""

import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_WITHOUT_HEADER = 0x1001
HOST = 100
libc = ctypes.CDLL(None, use_errno=True)


def run(*command):
    subprocess.run(command, check=True)


def enter(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def device(name, address):
    """A TUN device in the present namespace, with an address."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_WITHOUT_HEADER))
    run("ip", "addr", "add", f"{address}/24", "dev", name)
    run("ip", "link", "set", name, "up")
    return descriptor


class Network:
    def __init__(self, name, count, prefix):
        self.prefix = bytes(int(part) for part in prefix.split("."))
        self.names = [f"{name}-{number}" for number in range(1, count + 1)]
        self.own = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.devices = {}
        self.drop = 0.0
        self.delay = (0.0, 0.0)
        self.cuts = set()
        # Packets on their way: (due, order, to, bytes); the last due time of each pair keeps their order.
        self.flying = []
        self.order = itertools.count()
        self.last_due = {}
        for number, namespace in enumerate(self.names, 1):
            run("ip", "netns", "add", namespace)
            there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
            enter(there)
            os.close(there)
            try:
                run("ip", "link", "set", "lo", "up")
                self.devices[number] = device("tun0", f"{prefix}.{number}")
            finally:
                enter(self.own)
        self.devices[HOST] = device(name, f"{prefix}.{HOST}")
        self.numbers = {descriptor: number for number, descriptor in self.devices.items()}

    def close(self):
        for descriptor in self.devices.values():
            os.close(descriptor)
        for namespace in self.names:
            subprocess.run(["ip", "netns", "del", namespace])

    def command(self, words):
        match words:
            case ["drop", probability]:
                self.drop = float(probability)
            case ["delay", low, high]:
                self.delay = (float(low) / 1000, float(high) / 1000)
            case ["cut", source, target]:
                self.cuts.add((int(source), int(target)))
            case ["heal"]:
                self.drop, self.delay, self.cuts = 0.0, (0.0, 0.0), set()
            case _:
                print("no such command:", *words, file=sys.stderr)
                return
        print("ok", flush=True)

    def carry(self, source, packet, now):
        # IPv4 within the prefix only; IPv6's own chatter goes nowhere.
        if len(packet) < 20 or packet[0] >> 4 != 4 or packet[16:19] != self.prefix:
            return
        target = packet[19]
        if target not in self.devices or target == source or (source, target) in self.cuts:
            return
        due = now
        # The test's own clients have a good network: faults are between the nodes.
        if HOST not in (source, target):
            if random.random() < self.drop:
                return
            due = max(now + random.uniform(*self.delay), self.last_due.get((source, target), 0))
            self.last_due[source, target] = due
        heapq.heappush(self.flying, (due, next(self.order), source, target, packet))

    def deliver(self, now):
        while self.flying and self.flying[0][0] <= now:
            _, _, source, target, packet = heapq.heappop(self.flying)
            if (source, target) in self.cuts:
                continue
            try:
                os.write(self.devices[target], packet)
            except OSError:
                pass  # a full queue is one more lost packet

    def serve(self):
        print("ready", flush=True)
        poll = select.poll()
        for descriptor in [0, *self.numbers]:
            poll.register(descriptor, select.POLLIN)
        pending = b""
        while True:
            now = time.monotonic()
            self.deliver(now)
            wait = 1000 if not self.flying else max(0, min(1000, (self.flying[0][0] - now) * 1000))
            for descriptor, _ in poll.poll(wait if wait == 1000 else int(wait) + (wait > int(wait))):
                if descriptor == 0:
                    text = os.read(0, 4096)
                    if not text:
                        return
                    *lines, pending = (pending + text).split(b"\n")
                    for line in lines:
                        self.command(line.decode().split())
                    continue
                now = time.monotonic()
                for _ in range(64):
                    try:
                        packet = os.read(descriptor, 65536)
                    except BlockingIOError:
                        break
                    self.carry(self.numbers[descriptor], packet, now)
                self.deliver(now)


def main():
    network = Network(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    try:
        network.serve()
    finally:
        network.close()


main()
