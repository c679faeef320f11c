"""What the examples share: the protocol, made from the .proto files at run time, and channels to the meta nodes."""

import os
import sys
import tempfile

import grpc
from grpc_tools import protoc

PROTOCOL = os.environ.get(
    "KUNLOG_PROTO",
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto"))


def protocol():
    """The modules of messages and calls of kunlog/metadata/v1: (service_pb2, service_pb2_grpc, command_pb2)."""
    with tempfile.TemporaryDirectory() as directory:
        files = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(os.path.join(PROTOCOL, "kunlog", "metadata")) for name in names
            if name.endswith(".proto")]
        code = protoc.main(
            ["protoc", f"--proto_path={PROTOCOL}", f"--python_out={directory}", f"--grpc_python_out={directory}", *files])
        if code != 0:
            sys.exit(f"protoc ended with {code}: is KUNLOG_PROTO, {PROTOCOL}, the folder proto/ of Kunlog?")
        sys.path.insert(0, directory)
        try:
            from kunlog.metadata.v1 import command_pb2, service_pb2, service_pb2_grpc
        finally:
            sys.path.remove(directory)
    return service_pb2, service_pb2_grpc, command_pb2


def add_connection_arguments(parser):
    parser.add_argument("--endpoints", required=True, help="meta nodes: host:port,host:port,…")
    parser.add_argument("--certificate", required=True, help="the certificate that says who you are (PEM)")
    parser.add_argument("--key", required=True, help="its private key (PEM)")
    parser.add_argument("--authority", required=True, help="the certificate of the cluster's authority (PEM)")


class Replicas:
    """The meta nodes, a channel to each, and which to ask next."""

    def __init__(self, arguments):
        def read(path):
            with open(path, "rb") as file:
                return file.read()
        self.credentials = grpc.ssl_channel_credentials(
            read(arguments.authority), read(arguments.key), read(arguments.certificate))
        self.endpoints = arguments.endpoints.split(",")
        self.channels = {}
        self.turn = 0

    def current(self):
        return self.endpoints[self.turn % len(self.endpoints)]

    def next(self):
        """Gives the current one up: a new connection is made when its turn comes again."""
        channel = self.channels.pop(self.current(), None)
        if channel is not None:
            channel.close()
        self.turn += 1

    def turn_to(self, endpoint):
        """The next one is this: a leader that another node has named."""
        if endpoint not in self.endpoints:
            self.endpoints.append(endpoint)
        self.turn = self.endpoints.index(endpoint)

    def channel(self):
        endpoint = self.current()
        if endpoint not in self.channels:
            self.channels[endpoint] = grpc.secure_channel(endpoint, self.credentials)
        return self.channels[endpoint]
