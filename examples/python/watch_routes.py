#!/usr/bin/env python3
"""Prints where tablets are, and each change of that, one line each: index, what happened, tablet, table, shard, epoch.

It follows one meta node; where that one ends, falls silent or is cut off from the others, it goes on at the next, where it
stopped. With --position it does so also after a restart: the file holds the index of the last record that was printed, and
is written after the lines. (A crash between the two prints the record again: every change is printed at least once.)
"""

import argparse
import os
import signal
import sys
import threading
import time

import grpc

import metadata_log

service, calls, _ = metadata_log.protocol()

# Meta nodes speak once a second at least.
SILENCE_SECONDS = 3.0


class Position:
    """How far the consumer is, in a file that is whole at any time."""

    def __init__(self, path):
        self.path = path
        self.cluster_id = b""
        self.index = None
        if path and os.path.exists(path):
            with open(path, encoding="ascii") as file:
                cluster_id, index = file.read().split()
            self.cluster_id, self.index = bytes.fromhex(cluster_id), int(index)

    def reach(self, index):
        self.index = index
        if not self.path:
            return
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(f"{self.cluster_id.hex()} {index}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)


class Watcher:
    def __init__(self, arguments):
        self.arguments = arguments
        self.replicas = metadata_log.Replicas(arguments)
        self.position = Position(arguments.position)
        # What is known of tablets, so that their ends can be told with the rest.
        self.tablets = {}
        self.is_ending = False
        self.call = None

    def end(self, *_):
        self.is_ending = True
        if self.call is not None:
            self.call.cancel()

    def run(self):
        while not self.is_ending:
            endpoint = self.replicas.current()
            print(f"following {endpoint} from {self.position.index or 0}", file=sys.stderr, flush=True)
            try:
                self.follow(calls.MetadataStub(self.replicas.channel()))
            except grpc.RpcError as error:
                if self.is_ending:
                    break
                # These are about the request: another replica would say the same.
                if error.code() in (
                        grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION,
                        grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
                    sys.exit(f"{endpoint}: {error.code().name}: {error.details()}")
                print(f"{endpoint}: {error.code().name}: {error.details()}", file=sys.stderr, flush=True)
            if not self.is_ending:
                self.replicas.next()
                time.sleep(0.1)

    def follow(self, stub):
        if not self.position.cluster_id:
            self.position.cluster_id = stub.Status(service.StatusRequest(), timeout=SILENCE_SECONDS).cluster_id
        self.call = stub.Subscribe(service.SubscribeRequest(
            cluster_id=self.position.cluster_id,
            after_index=self.position.index or 0,
            # Without a position, the present is what to begin with; with one whose records are gone, it is all that there is.
            want_image=self.position.index is None,
            allow_image=True,
            families=[] if self.arguments.table else ["placement"],
            tables=self.arguments.table,
            include_partitions=bool(self.arguments.table),
            maximum_staleness_milliseconds=int(SILENCE_SECONDS * 1000)))
        watchdog = Watchdog(self.call)
        index = None
        try:
            for response in self.call:
                watchdog.heard()
                kind = response.WhichOneof("kind")
                if kind == "record":
                    for event in response.record.body.events:
                        self.show(response.record.index, event)
                    self.position.reach(response.record.index)
                elif kind == "image":
                    # The state as events that lead to it, one per object.
                    if response.image.HasField("header"):
                        index = response.image.header.index
                    for event in response.image.events.events:
                        self.show(index, event, "is")
                    if response.image.HasField("end"):
                        self.position.reach(index)
                elif kind == "bookmark" and response.bookmark > (self.position.index or 0):
                    self.position.reach(response.bookmark)
                if self.arguments.until and (self.position.index or 0) >= self.arguments.until:
                    return self.end()
        finally:
            watchdog.stop()

    def show(self, index, event, verb=None):
        kind = event.WhichOneof("kind")
        if kind == "tablet_created":
            tablet = event.tablet_created
            if self.arguments.table and tablet.table_id not in self.arguments.table and verb == "is":
                return
            self.tablets[tablet.id] = tablet
            self.line(index, verb or "created", tablet)
        elif kind == "tablet_dropped":
            tablet = self.tablets.pop(event.tablet_dropped.tablet_id, None)
            if tablet is None:
                tablet = type("Unknown", (), {
                    "id": event.tablet_dropped.tablet_id, "table_id": "?", "shard_id": "?", "epoch": "?"})
            self.line(index, "dropped", tablet)
        elif kind == "tablet_cleared":
            tablet = self.tablets.get(event.tablet_cleared.tablet_id)
            if tablet is not None:
                self.line(index, "cleared", tablet)

    @staticmethod
    def line(index, verb, tablet):
        print(f"{index}\t{verb}\ttablet {tablet.id}\ttable {tablet.table_id}\tshard {tablet.shard_id}"
              f"\tepoch {tablet.epoch}", flush=True)


class Watchdog:
    """Ends a call of which nothing is heard: a process that stands still keeps its connections."""

    def __init__(self, call):
        self.call = call
        self.last = time.monotonic()
        self.is_over = threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()

    def heard(self):
        self.last = time.monotonic()

    def watch(self):
        while not self.is_over.wait(0.2):
            if time.monotonic() - self.last > SILENCE_SECONDS:
                self.call.cancel()
                return

    def stop(self):
        self.is_over.set()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    metadata_log.add_connection_arguments(parser)
    parser.add_argument("--table", type=int, action="append", default=[], help="only this table and its partitions (repeat)")
    parser.add_argument("--position", help="a file that keeps how far this consumer is")
    parser.add_argument("--until", type=int, help="end when this index is reached")
    watcher = Watcher(parser.parse_args())
    signal.signal(signal.SIGTERM, watcher.end)
    signal.signal(signal.SIGINT, watcher.end)
    watcher.run()


main()
