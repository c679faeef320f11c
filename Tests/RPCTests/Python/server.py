"""Python's gRPC as a server of the test service: prints its port, then serves until its parent is gone.

Usage: server.py <directory with echo.proto>
"""

import os
import sys
import time
from concurrent import futures

sys.path.insert(0, sys.argv[1])
import grpc
from grpc_health.v1 import health, health_pb2_grpc

pb, pb_grpc = grpc.protos_and_services("echo.proto")


class Echo(pb_grpc.EchoServicer):
    def Unary(self, request, context):
        deadline = time.monotonic() + request.delay_milliseconds / 1000
        while time.monotonic() < deadline and context.is_active():
            time.sleep(0.01)
        if request.fail_code:
            context.set_trailing_metadata((("x-reason", "on demand"),))
            context.abort([c for c in grpc.StatusCode if c.value[0] == request.fail_code][0], request.text)
        sent = dict(context.invocation_metadata())
        context.set_trailing_metadata(tuple((k, sent[k]) for k in ("x-request", "x-request-bin") if k in sent))
        return pb.EchoResponse(text=request.text, payload=request.payload)

    def Count(self, request, context):
        for number in range(request.count):
            yield pb.EchoResponse(text=str(number), payload=bytes(request.payload_bytes))

    def Chat(self, requests, context):
        context.send_initial_metadata((("x-initial", "first"),))
        context.set_trailing_metadata((("x-last-bin", b"\x01\x02"),))
        for request in requests:
            yield pb.EchoResponse(text=request.text, payload=request.payload)

    def Join(self, requests, context):
        return pb.EchoResponse(text=",".join(request.text for request in requests))


options = [("grpc.max_receive_message_length", 64 << 20)]
server = grpc.server(futures.ThreadPoolExecutor(8), options=options)
pb_grpc.add_EchoServicer_to_server(Echo(), server)
health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
parent = os.getppid()
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
while os.getppid() == parent:
    time.sleep(0.2)
