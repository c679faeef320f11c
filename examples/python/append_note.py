#!/usr/bin/env python3
"""Appends a note to the metadata log, once: the request has a name of its own, under which it is repeated until there is an
answer. A leader that had carried it out already answers with the first attempt's result.

Prints the index of the record. To repeat a request of an earlier start, name it: --client and --sequence.
"""

import argparse
import sys
import time
import uuid

import grpc

import metadata_log

service, calls, command = metadata_log.protocol()

# Nothing was decided, or the answer was lost: ask again, under the same name.
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED,
         grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)


def append(replicas, request, seconds):
    """The record's index; asks until the time is over."""
    deadline = time.monotonic() + seconds
    last = "no meta node was asked"
    while time.monotonic() < deadline:
        endpoint = replicas.current()
        try:
            response = calls.MetadataStub(replicas.channel()).Append(request, timeout=2)
        except grpc.RpcError as error:
            if error.code() not in AGAIN:
                sys.exit(f"{endpoint}: {error.code().name}: {error.details()}")
            last = f"{endpoint}: {error.code().name}: {error.details()}"
            replicas.next()
            time.sleep(0.1)
            continue
        kind = response.WhichOneof("kind")
        if kind == "appended":
            return response.appended.index
        if kind == "rejected":
            sys.exit(f"refused: {response.rejected.message} (SQLSTATE {response.rejected.sql_state})")
        last = f"{endpoint} does not lead"
        if response.not_leader.leader_address:
            replicas.turn_to(response.not_leader.leader_address)
        else:
            replicas.next()
        time.sleep(0.05)
    sys.exit(f"no answer within {seconds} s, the note may or may not be in the log: {last}; repeat it as"
             f" --client {request.request_id.client} --sequence {request.request_id.sequence}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    metadata_log.add_connection_arguments(parser)
    parser.add_argument("--topic", required=True, help="what the note is about, 1 to 64 bytes")
    parser.add_argument("--client", default=str(uuid.uuid4()), help="names this client; by default, at random")
    parser.add_argument("--sequence", type=int, default=1, help="the request's number, counted by the client from 1")
    parser.add_argument("--seconds", type=float, default=30, help="how long to ask (30)")
    parser.add_argument("text", help="the note")
    arguments = parser.parse_args()
    replicas = metadata_log.Replicas(arguments)
    request = service.AppendRequest(
        principal="operator",
        request_id={"client": arguments.client, "sequence": arguments.sequence},
        commands=[command.Command(record_note=command.RecordNote(
            topic=arguments.topic, content=arguments.text.encode()))])
    print(append(replicas, request, arguments.seconds), flush=True)


main()
