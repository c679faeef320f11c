import AccessControl
import EventLoop
import Metadata
import MetadataClient
import RPC
import Testing

@Suite
struct TokenTests {
  private static let status = "/kunlog.metadata.v1.Metadata/Status"

  /// Makes a token in the log.
  @LoopActor
  private func make(
    _ secure: SecureCluster, _ name: String, _ role: AccessRole, expiresSeconds: Int64? = nil
  ) async throws -> String {
    let text = AccessToken.text(name: name, secret: [UInt8](repeating: 0xA5, count: 32))
    let token = AccessToken(name: name, role: role, expiresSeconds: expiresSeconds, token: text)
    let answer = try await secure.append(
      [.setSetting(name: token.settingName, value: token.settingValue)], over: try secure.channel(.admin))
    #expect(answer.appended.index > 0)
    return text
  }

  @Test("The bearer of a token is who the token says, may do what its role may, and is named in records")
  @LoopActor
  func bearer() async throws {
    try await withSecureCluster { secure in
      let operatorToken = try await make(secure, "erika", .operator)
      let channel = secure.channel(secure.tls(token: operatorToken))
      _ = try await secure.append([sample(.recordNote)], over: channel, claiming: "somebody")
      let error = await #expect(throws: RPCError.self) {
        _ = try await secure.append([sample(.createTable)], over: channel)
      }
      #expect(error?.code == .permissionDenied)
      #expect(error?.message.hasPrefix("erika (operator) may not append CreateTable") == true)
      var request = MetadataSubscription.Request()
      request.endsAtPresent = true
      let subscription = MetadataSubscription(request, on: channel)
      var last: Record?
      while let message = try await subscription.next() {
        if case .record(let record) = message { last = record }
      }
      #expect(last?.principal == "erika")

      let readerToken = try await make(secure, "grafana", .reader)
      let reader = secure.channel(secure.tls(token: readerToken))
      #expect(await secure.outcome(Self.status, over: reader) == nil)
      await #expect(throws: RPCError.self) { _ = try await secure.append([sample(.recordNote)], over: reader) }
    }
  }

  @Test("No token, a wrong one, one that has ended and one that was revoked let nobody in")
  @LoopActor
  func refusals() async throws {
    try await withSecureCluster { secure in
      let good = try await make(secure, "good", .reader)
      let old = try await make(secure, "old", .reader, expiresSeconds: 1_700_000_000)
      var nothing = secure.tls(token: "")
      nothing.token = nil
      for (tls, reason) in [
        (nothing, "neither certificate nor token"), (secure.tls(token: "good.00"), "not known here"),
        (secure.tls(token: String(good.dropLast()) + "0"), "not known here"),
        (secure.tls(token: "nobody.00"), "not known here"), (secure.tls(token: old), "has ended"),
        (secure.tls(token: "a b"), "what authorizes a call"),
      ] {
        let outcome = await secure.outcome(Self.status, over: secure.channel(tls))
        #expect(outcome?.code == .unauthenticated, "\(reason)")
        #expect(outcome?.message.contains(reason) == true, "\(outcome as Any)")
      }
      let channel = secure.channel(secure.tls(token: good))
      #expect(await secure.outcome(Self.status, over: channel) == nil)
      let subscription = MetadataSubscription(MetadataSubscription.Request(), on: channel)
      _ = try await subscription.next()
      _ = try await secure.append(
        [.setSetting(name: "access.token.good", value: nil)], over: try secure.channel(.admin))
      // The connection is the same, and the stream that was open ends.
      #expect(await secure.outcome(Self.status, over: channel)?.code == .unauthenticated)
      let end = await #expect(throws: (any Error).self) { while try await subscription.next() != nil {} }
      #expect("\(end as Any)".contains("revoked"))
    }
  }

  @Test("A token counts before the certificate of the connection")
  @LoopActor
  func precedence() async throws {
    try await withSecureCluster { secure in
      var tls = try secure.tls("root", .admin, nil)
      tls.token = try await make(secure, "reader", .reader)
      let error = await #expect(throws: RPCError.self) {
        _ = try await secure.append([sample(.recordNote)], over: secure.channel(tls))
      }
      #expect(error?.message.hasPrefix("reader (reader) may not call") == true)
    }
  }

  @Test("What is no digest of a token does not get into the log as one")
  @LoopActor
  func secretsStayOut() async throws {
    try await withSecureCluster { secure in
      let admin = try secure.channel(.admin)
      for value in [
        "hunter2", "role=admin expires=never sha256=00",
        "role=meta expires=never sha256=" + String(repeating: "0", count: 64),
      ] {
        let answer = try await secure.append([.setSetting(name: "access.token.x", value: value)], over: admin)
        #expect(answer.rejected.sqlState == "22023")
      }
      let meta = try #require(secure.cluster.nodes[0])
      #expect(meta.image.accessTokens.isEmpty)
    }
  }
}
