import AccessControl
import EventLoop
import Metadata
import MetadataClient
import MetadataService
import Metrics
import ProtocolMetadata
import ProtocolRaft
import RPC
import Testing

/// docs/security.md, the policy and what really happens over TLS are the same.
@Suite
struct AccessTests {
  @Test("The documentation's table of commands is the policy, cell by cell")
  func commandTable() throws {
    let table = try SecurityTable("Command")
    #expect(table.cells.keys.sorted() == CommandKind.allCases.map(\.rawValue).sorted())
    for kind in CommandKind.allCases {
      for role in AccessRole.allCases {
        let rule = AccessPolicy.rule(kind)
        let cell =
          rule.always.contains(AccessRoles(role)) ? "yes" : rule.own.contains(AccessRoles(role)) ? "own" : "–"
        #expect(table.cells[kind.rawValue]?[role.rawValue] == cell, "\(kind.rawValue) of \(role.rawValue)")
      }
    }
  }

  @Test("The documentation's table of methods is the policy, cell by cell")
  func methodTable() throws {
    let table = try SecurityTable("Method")
    #expect(table.cells.keys.sorted() == AccessMethod.allCases.map(\.rawValue).sorted())
    for method in AccessMethod.allCases {
      for role in AccessRole.allCases {
        let nodes = AccessRole.allCases.filter { node in
          node.isNode && AccessPolicy.roles(method, at: node).contains(AccessRoles(role))
        }
        let expected: [AccessRole]? =
          switch table.cells[method.rawValue]?[role.rawValue] {
          case "yes": [.meta, .storage, .compute, .manager]
          case "same": [role]
          case "–": []
          default: nil
          }
        // Only nodes that keep a log speak Raft at all.
        let isRaft = method == .exchange || method == .installSnapshot
        guard !isRaft || role == .meta || role == .storage else { continue }
        #expect(nodes == expected, "\(method.rawValue) of \(role.rawValue)")
      }
    }
  }

  @Test("Every role tries every command over TLS: allowed or refused as the documentation says")
  @LoopActor
  func everyCommand() async throws {
    let table = try SecurityTable("Command")
    try await withSecureCluster { secure in
      var tried = 0
      for role in AccessRole.allCases {
        let channel = try secure.channel(role)
        for kind in CommandKind.allCases {
          let before = secure.cluster.nodes[0]?.image.index
          var refusal: RPCError?
          do throws(RPCError) {
            switch try await secure.append([sample(kind)], over: channel).kind {
            case .appended, .rejected: break
            case let other: Issue.record("\(kind.rawValue) by \(role.rawValue): \(String(describing: other))")
            }
          } catch { refusal = error }
          tried += 1
          // The samples are about nodes that are not the callers'.
          let isAllowed = table.cells[kind.rawValue]?[role.rawValue] == "yes"
          #expect(refusal?.code == (isAllowed ? nil : .permissionDenied), "\(kind.rawValue) by \(role.rawValue)")
          guard let refusal else { continue }
          #expect(secure.cluster.nodes[0]?.image.index == before, "\(kind.rawValue) by \(role.rawValue)")
          #expect(refusal.message.contains("a-\(role.rawValue) (\(role.rawValue)"))
          // A reader does not even come to the commands.
          let what = role == .reader ? "call kunlog.metadata.v1.Metadata/Append" : "append \(kind.rawValue)"
          #expect(refusal.message.contains("may not \(what): that is for "), "\(refusal.message)")
        }
      }
      #expect(tried == AccessRole.allCases.count * CommandKind.allCases.count)
    }
  }

  @Test("Where the documentation says own, the caller's own node is allowed over TLS, and any other one refused")
  @LoopActor
  func ownCommands() async throws {
    let table = try SecurityTable("Command")
    try await withSecureCluster { secure in
      var tried: [String] = []
      for role in AccessRole.allCases where role.isNode {
        let channel = try secure.channel(role)
        for kind in CommandKind.allCases where table.cells[kind.rawValue]?[role.rawValue] == "own" {
          let (own, other) = try ownSamples(kind, role)
          _ = try await secure.append([own], over: channel)
          let refusal = await #expect(throws: RPCError.self) { try await secure.append([other], over: channel) }
          #expect(refusal?.code == .permissionDenied, "\(kind.rawValue) by \(role.rawValue)")
          tried.append("\(kind.rawValue) \(role.rawValue)")
        }
      }
      #expect(
        tried == [
          "RegisterNode meta", "UpdateNodeAddress meta", "RegisterNode storage", "UpdateNodeAddress storage",
          "DecideTransaction storage", "RegisterNode compute", "UpdateNodeAddress compute",
          "DecideTransaction compute", "ResolveTransaction compute", "SettleTransactions compute",
          "RegisterNode manager", "UpdateNodeAddress manager", "ElectManager manager",
        ])
    }
  }

  @Test("Every role tries every method of a meta node: let in or refused as the documentation says")
  @LoopActor
  func everyMethod() async throws {
    let table = try SecurityTable("Method")
    try await withSecureCluster { secure in
      let methods = try #require(secure.cluster.nodes[0]).methods.map { String($0.dropFirst()) }
      for role in AccessRole.allCases {
        let channel = try secure.channel(role)
        for method in methods {
          let cell = try #require(table.cells[method]?[role.rawValue], "\(method) has no row in docs/security.md")
          let isAllowed = cell == "yes" || (cell == "same" && role == .meta)
          let outcome = await secure.outcome(
            "/" + method, over: channel, timeoutMilliseconds: isAllowed ? 400 : 20_000)
          // An empty request is no good one for some; what counts is that the gate lets it in.
          #expect(
            (outcome?.code == .permissionDenied) == !isAllowed, "\(method) by \(role.rawValue): \(outcome as Any)")
          #expect(outcome?.code != .unauthenticated)
        }
      }
    }
  }

  @Test("A node registers itself, and is refused for another; a request with one forbidden command does nothing")
  @LoopActor
  func ownNode() async throws {
    try await withSecureCluster { secure in
      let compute = try secure.channel(.compute)
      func node(_ id: UInt64) -> Command {
        .registerNode(
          NodeDefinition(
            id: NodeID(rawValue: id), role: .compute, name: "c", host: "127.0.0.1", port: 1, postgresPort: 2))
      }
      let answer = try await secure.append([node(50)], over: compute)
      #expect(answer.appended.events.count == 1)
      await #expect(throws: RPCError.self) { _ = try await secure.append([node(51)], over: compute) }
      await #expect(throws: RPCError.self) {
        _ = try await secure.append([table("t"), sample(.createShard)], over: compute)
      }
      let image = try #require(secure.cluster.nodes[0]).image
      #expect(image.nodes.keys.map(\.rawValue).sorted() == [50])
      #expect(image.tables.isEmpty)
    }
  }

  @Test("A stream of appends that meets a forbidden command answers what came before, and ends with the refusal")
  @LoopActor
  func stream() async throws {
    try await withSecureCluster { secure in
      let channel = try secure.channel(.operator)
      let (writer, reader) = channel.bidirectional(
        RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
          service: "kunlog.metadata.v1.Metadata", method: "AppendStream"))
      for command in [sample(.recordNote), sample(.createTable), sample(.recordNote)] {
        try await writer.send(AppendRequest(principal: "", commands: [command]).wire(clusterID: MetaCluster.id))
      }
      #expect(try await reader.next()?.appended.index != 0)
      let error = await #expect(throws: RPCError.self) { _ = try await reader.next() }
      #expect(error?.code == .permissionDenied)
      #expect(error?.message.hasPrefix("a-operator (operator) may not append CreateTable") == true)
    }
  }

  @Test("Records name the caller, whatever it claims; a compute node says for whom it asks")
  @LoopActor
  func principals() async throws {
    try await withSecureCluster { secure in
      var indexes: [UInt64: String] = [:]
      for (role, command, expected) in [
        (AccessRole.compute, sample(.createSchema), "abc@a-compute"), (.operator, sample(.recordNote), "a-operator"),
        (.manager, sample(.recordNote), "a-manager"),
      ] {
        let channel = try secure.channel(role)
        indexes[try await secure.append([command], over: channel, claiming: "abc").appended.index] = expected
      }
      var request = MetadataSubscription.Request()
      request.endsAtPresent = true
      let subscription = MetadataSubscription(request, on: try secure.channel(.reader))
      var found: [UInt64: String] = [:]
      while let message = try await subscription.next() {
        guard case .record(let record) = message, indexes[record.index] != nil else { continue }
        found[record.index] = record.principal
      }
      #expect(found == indexes)
    }
  }

  @Test("Without certificate, with one of another authority, or one that names no role, nobody is let in")
  @LoopActor
  func strangers() async throws {
    try await withSecureCluster { secure in
      let old = secure.channel(try secure.tls("old", PeerCertificate(commonName: "operator")))
      var outcome = await secure.outcome("/kunlog.metadata.v1.Metadata/Status", over: old)
      #expect(outcome?.code == .unauthenticated)
      #expect(outcome?.message.contains("kunlog cert node or kunlog cert operator") == true)

      var subject = PeerCertificate(commonName: "x", organization: "kunlog", organizationalUnit: "root")
      outcome = await secure.outcome(
        "/kunlog.metadata.v1.Metadata/Status", over: secure.channel(try secure.tls("root", subject)))
      #expect(outcome?.code == .unauthenticated)
      #expect(outcome?.message.contains("'root', which there is not") == true)

      subject.organizationalUnit = "storage"
      outcome = await secure.outcome(
        "/kunlog.metadata.v1.Metadata/Status", over: secure.channel(try secure.tls("numberless", subject)))
      #expect(outcome?.code == .unauthenticated)

      var anonymous = try secure.tls("unused", .admin, nil)
      anonymous.certificateFile = nil
      anonymous.keyFile = nil
      outcome = await secure.outcome("/kunlog.metadata.v1.Metadata/Status", over: secure.channel(anonymous))
      #expect(outcome?.code == .unauthenticated || outcome?.code == .unavailable)

      let foreign = try CertificateAuthority.create(
        commonName: "test authority", certificateFile: secure.directory + "/foreign-ca.pem",
        keyFile: secure.directory + "/foreign-ca.key")
      var forged = try secure.tls("forged", .admin, nil)
      let identity = try #require(AccessIdentity(name: "forged", role: .admin, nodeID: nil))
      try foreign.issue(
        identity, certificateFile: secure.directory + "/f.pem", keyFile: secure.directory + "/f.key")
      forged.certificateFile = secure.directory + "/f.pem"
      forged.keyFile = secure.directory + "/f.key"
      outcome = await secure.outcome("/kunlog.metadata.v1.Metadata/Status", over: secure.channel(forged))
      #expect(outcome?.code == .unavailable)

      outcome = await secure.outcome("/kunlog.metadata.v1.Metadata/Status", over: secure.channel(nil))
      #expect(outcome?.code == .unavailable)
    }
  }

  @Test("Refusals are counted, and it is told when certificates end")
  @LoopActor
  func watched() async throws {
    try await withSecureCluster { secure in
      let node = try #require(secure.cluster.nodes[0])
      @LoopActor func refusals() -> String? {
        String(decoding: PrometheusText.render(node.metrics), as: UTF8.self).split(separator: "\n")
          .first { $0.hasPrefix("kunlog_access_refusals_total ") }.map(String.init)
      }
      #expect(refusals() == "kunlog_access_refusals_total 0")
      let reader = try secure.channel(.reader)
      let outcome = await secure.outcome("/kunlog.metadata.v1.Admin/ChangeMembers", over: reader)
      #expect(outcome?.code == .permissionDenied)
      let storage = try secure.channel(.storage)
      await #expect(throws: RPCError.self) { try await secure.append([sample(.createTable)], over: storage) }
      #expect(refusals() == "kunlog_access_refusals_total 2")
      let ends = CertificateExpiry.current
      #expect(ends.map(\.owner) == [.own, .authority])
      let now = Double(Loop.wallClockMicroseconds()) / 1_000_000
      #expect(ends.allSatisfy { $0.seconds > now + 30 * 86_400 && $0.seconds < now + 50 * 366 * 86_400 })
    }
  }

  @Test("A meta node calls Raft as itself only")
  @LoopActor
  func raftNumber() async throws {
    try await withSecureCluster { secure in
      let channel = secure.channel(try secure.tls("meta-9", .meta, 9))
      for (from, code) in [(UInt64(9), RPCStatusCode.deadlineExceeded), (8, .permissionDenied)] {
        let (writer, reader) = channel.bidirectional(
          RPCMethod<Kunlog_Raft_V1_ExchangeRequest, Kunlog_Raft_V1_ExchangeResponse>(
            service: "kunlog.raft.v1.Raft", method: "Exchange"), timeoutMilliseconds: 500)
        try await writer.send(
          .with {
            $0.hello = .with {
              $0.clusterID = .init(MetaCluster.id.rawValue)
              $0.groupID = "metadata"
              $0.from = from
              $0.to = 1
            }
          })
        let error = await #expect(throws: RPCError.self) { while try await reader.next() != nil {} }
        #expect(error?.code == code)
      }
    }
  }
}
