"""Python's gRPC as a client of the test service: prints one line per case, `name<TAB>outcome`.

Usage: client.py <directory with echo.proto> <port>
"""

import os
import sys
import threading

protos, port = sys.argv[1], int(sys.argv[2])
sys.path.insert(0, protos)
import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

pb, pb_grpc = grpc.protos_and_services("echo.proto")
channel = grpc.insecure_channel(
    f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", 64 << 20)]
)
echo = pb_grpc.EchoStub(channel)


def case(function):
    try:
        outcome = function()
    except grpc.RpcError as error:
        outcome = f"{error.code().name}: {error.details()}"
    except Exception as error:  # the test shows it
        outcome = f"{type(error).__name__}: {error}"
    print(f"{function.__name__}\t{outcome}", flush=True)


def unary():
    return echo.Unary(pb.EchoRequest(text="grüezi"), timeout=10).text


def metadata():
    response, call = echo.Unary.with_call(
        pb.EchoRequest(text="m"), timeout=10, metadata=(("x-request", "plain"), ("x-request-bin", b"\x00\xff\x10"))
    )
    trailing = dict(call.trailing_metadata())
    initial = dict(call.initial_metadata())
    return f"{initial['x-initial']} {trailing['x-request']} {trailing['x-request-bin'].hex()}"


def status():
    return echo.Unary(pb.EchoRequest(text="100 % größer", fail_code=9), timeout=10)


def status_metadata():
    try:
        echo.Unary(pb.EchoRequest(text="no", fail_code=5), timeout=10)
    except grpc.RpcError as error:
        return dict(error.trailing_metadata())["x-reason"]


def unimplemented():
    return channel.unary_unary("/kunlog.test.v1.Echo/Nothing")(b"", timeout=10)


def malformed():
    return channel.unary_unary("/kunlog.test.v1.Echo/Unary")(b"\xff\xff\xff", timeout=10).decode()


def server_stream():
    return " ".join(m.text for m in echo.Count(pb.CountRequest(count=5), timeout=10))


def client_stream():
    return echo.Join((pb.EchoRequest(text=t) for t in "abc"), timeout=10).text


def bidirectional():
    return " ".join(m.text for m in echo.Chat((pb.EchoRequest(text=str(n)) for n in range(100)), timeout=10))[-8:]


def deadline():
    try:
        echo.Unary(pb.EchoRequest(delay_milliseconds=60000), timeout=0.1)
    except grpc.RpcError as error:
        return error.code().name


def cancel():
    call = echo.Unary.future(pb.EchoRequest(delay_milliseconds=60000))
    threading.Timer(0.1, call.cancel).start()
    try:
        call.result()
    except grpc.FutureCancelledError:
        return "cancelled"


def large():
    payload = os.urandom(5_000_000)
    response = echo.Unary(pb.EchoRequest(payload=payload), timeout=30)
    return f"{len(response.payload)} {response.payload == payload}"


def too_large():
    return echo.Unary(pb.EchoRequest(payload=bytes(20_000_000)), timeout=30)


def flow_control():
    total = 0
    for message in echo.Count(pb.CountRequest(count=2000, payload_bytes=10_000), timeout=60):
        total += len(message.payload)
    return total


def health():
    stub = health_pb2_grpc.HealthStub(channel)
    response = stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


def health_unknown():
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)


def health_watch():
    call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
    first = next(call)
    call.cancel()
    return health_pb2.HealthCheckResponse.ServingStatus.Name(first.status)


def reflection_services():
    return " ".join(ProtoReflectionDescriptorDatabase(channel).get_services())


def reflection_method():
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName("kunlog.test.v1.Echo").FindMethodByName("Count")
    return f"{method.input_type.full_name} {','.join(f.name for f in method.input_type.fields)}"


def reflection_unknown():
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    try:
        pool.FindServiceByName("kunlog.nothing")
    except KeyError:
        return "unknown"


def concurrent():
    futures = [echo.Unary.future(pb.EchoRequest(text=str(n)), timeout=30) for n in range(200)]
    return sum(int(future.result().text) for future in futures)


for function in [
    unary, metadata, status, status_metadata, unimplemented, malformed, server_stream, client_stream, bidirectional,
    deadline, cancel, large, too_large, flow_control, health, health_unknown, health_watch, reflection_services,
    reflection_method, reflection_unknown, concurrent,
]:
    case(function)
