import ProtocolGRPC

/// The client's side of the standard health service.
extension RPCHealth {
  /// Whether the server at the channel's end says that it serves.
  package static func isServing(
    _ channel: RPCChannel, service: String = "", timeoutMilliseconds: Int
  ) async throws(RPCError) -> Bool {
    let check = RPCMethod<Grpc_Health_V1_HealthCheckRequest, Grpc_Health_V1_HealthCheckResponse>(
      service: "grpc.health.v1.Health", method: "Check")
    var request = Grpc_Health_V1_HealthCheckRequest()
    request.service = service
    return try await channel.unary(check, request, timeoutMilliseconds: timeoutMilliseconds).status == .serving
  }
}
