import Metadata
import SQLTypes
import Testing

@Suite struct ClusterTests {
  @Test func aNewClusterHasItsFirstRoleDatabaseAndSchemas() throws {
    let image = try Fixture.cluster().image
    let role = try #require(image.role(named: "abc"))
    #expect(role.id.rawValue == 10)
    #expect(role.isSuperuser && role.canLogin)
    #expect(role.verifier == Fixture.verifier)
    #expect(image.databases.values.map(\.name) == ["postgres"])
    #expect(image.schema(named: "pg_catalog")?.id.rawValue == 11)
    #expect(image.schema(named: "public")?.id.rawValue == 2200)
    #expect(image.schema(named: "information_schema") != nil)
    #expect(image.nextObjectID.rawValue == 16384)
    #expect(image.featureLevel == 3)
  }

  @Test func creatingTheSameClusterAgainChangesNothing() throws {
    var fixture = try Fixture.cluster()
    let before = fixture.image
    let events = try fixture.append(
      .createCluster(
        ClusterDraft(
          id: ClusterID(rawValue: [UInt8](repeating: 7, count: 16)), name: "x", roleName: "y", roleVerifier: nil)))
    #expect(events == [])
    #expect(fixture.image == before)
  }

  @Test func anotherClusterIsRefused() throws {
    let fixture = try Fixture.cluster()
    let rejection = fixture.rejection(
      .createCluster(
        ClusterDraft(
          id: ClusterID(rawValue: [UInt8](repeating: 8, count: 16)), name: "x", roleName: "y", roleVerifier: nil)))
    #expect(rejection?.message == "this metadata log belongs to another cluster, \"test\"")
  }

  @Test func nothingIsDecidedBeforeTheClusterExists() {
    let rejection = Fixture().rejection(.createTable(draft("t")))
    #expect(rejection?.message == "the cluster has not been created yet")
    #expect(rejection?.sqlState.rawValue == "55000")
  }

  @Test func aNodeThatComesBackElsewhereChangesItsAddress() throws {
    var fixture = try Fixture.cluster()
    var node = try #require(fixture.image.nodes[NodeID(rawValue: 1)])
    #expect(try fixture.append(.registerNode(node)) == [])
    node.port = 9000
    #expect(
      try fixture.append(.registerNode(node)) == [
        .nodeAddressChanged(NodeID(rawValue: 1), host: "127.0.0.1", port: 9000, postgresPort: nil)
      ])
    #expect(fixture.image.nodes[NodeID(rawValue: 1)]?.port == 9000)
  }

  @Test func aRemovedNodesIdentityIsNeverUsedAgain() throws {
    var fixture = try Fixture.cluster()
    let node = NodeDefinition(id: NodeID(rawValue: 9), role: .compute, name: "c", host: "h", port: 1, postgresPort: 2)
    try fixture.append(.registerNode(node))
    try fixture.append(.removeNode(node.id))
    #expect(
      fixture.rejection(.registerNode(node))?.message == "node 9 was removed, and its id is never used again")
    #expect(fixture.rejection(.removeNode(NodeID(rawValue: 1)))?.message == "node 1 is a replica of shard 1")
  }

  @Test func aShardNeedsStorageNodesThatServeNoOther() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(
      .registerNode(NodeDefinition(id: NodeID(rawValue: 9), role: .compute, name: "c", host: "h", port: 1)))
    #expect(
      fixture.rejection(.createShard(ShardDraft(replicas: [NodeID(rawValue: 9)])))?.message
        == "node 9 is a compute node, not a storage node")
    #expect(
      fixture.rejection(.createShard(ShardDraft(replicas: [NodeID(rawValue: 1)])))?.message
        == "node 1 is already a replica of shard 1")
    #expect(
      fixture.rejection(.addReplica(ShardID(rawValue: 5), NodeID(rawValue: 1)))?.detail
        == "The cluster's shards are 1, 2.")
  }

  @Test func settingsChangeAndGoBackToTheirDefault() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.setSetting(name: "a", value: "1"))
    #expect(fixture.image.settings["a"] == "1")
    #expect(try fixture.append(.setSetting(name: "a", value: "1")) == [])
    try fixture.append(.setSetting(name: "a", value: nil))
    #expect(fixture.image.settings["a"] == nil)
  }

  @Test func aRolesPasswordIsAVerifierOrRefusedWithoutBeingRepeated() throws {
    var fixture = try Fixture.cluster()
    let key = String(repeating: "A", count: 43) + "="
    let refused = [
      "secret", "", "md5a3556571e93b0d20722ba62be61e8c2d", "SCRAM-SHA-256$secret",
      "SCRAM-SHA-256$4096:c2FsdA==$\(key)", "SCRAM-SHA-256$0:c2FsdA==$\(key):\(key)",
      "SCRAM-SHA-256$4096:$\(key):\(key)", "SCRAM-SHA-256$4096:c2FsdA==$secret:\(key)",
      "SCRAM-SHA-256$4096:c2FsdA==$\(key):secret", "SCRAM-SHA-256$4096:not base64$\(key):\(key)",
      "SCRAM-SHA-1$4096:c2FsdA==$\(key):\(key)", "SCRAM-SHA-256$4096:c2FsdA==$\(key):\(key)$secret",
    ]
    for text in refused {
      let draft = ClusterDraft(
        id: ClusterID(rawValue: [UInt8](repeating: 7, count: 16)), name: "test", roleName: "abc", roleVerifier: text)
      for rejection in [
        fixture.rejection(.createRole(RoleDraft(name: "r", verifier: text))),
        fixture.rejection(.alterRole(WellKnown.firstRole, RoleChange(password: .verifier(text)))),
        Fixture().rejection(.createCluster(draft)),
      ] {
        #expect(rejection?.sqlState.rawValue == "22023", "\(text)")
        #expect(rejection?.message.hasSuffix("is no SCRAM-SHA-256 verifier") == true)
        let said = "\(rejection?.message ?? "") \(rejection?.detail ?? "") \(rejection?.hint ?? "")"
        #expect(!said.contains("secret") && !said.contains("md5"))
      }
    }
    let good = "SCRAM-SHA-256$1:AA==$\(key):\(key)"
    try fixture.append(.alterRole(WellKnown.firstRole, RoleChange(password: .verifier(good))))
    #expect(fixture.image.roles[WellKnown.firstRole]?.verifier == good)
  }

  @Test func rolesAreCreatedAlteredAndDropped() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createRole(RoleDraft(name: "r", canLogin: true, verifier: Fixture.verifier)))
    let role = try #require(fixture.image.role(named: "r"))
    #expect(role.id.rawValue == 16384)
    #expect(fixture.rejection(.createRole(RoleDraft(name: "r")))?.message == "role \"r\" already exists")
    try fixture.append(.alterRole(role.id, RoleChange(canCreateRole: true, password: RoleChange.Password.none)))
    #expect(fixture.image.role(named: "r")?.canCreateRole == true)
    #expect(fixture.image.role(named: "r")?.verifier == nil)
    var table = draft("t")
    table.ownerID = role.id
    try fixture.append(.createTable(table))
    let rejection = fixture.rejection(.dropRole(role.id))
    #expect(rejection?.sqlState.rawValue == "2BP01")
    #expect(rejection?.message == "role \"r\" cannot be dropped because some objects depend on it")
    #expect(rejection?.detail == "owner of table t")
    try fixture.append(.dropTables([try fixture.id("t")], isCascade: false))
    try fixture.append(.dropRole(role.id))
    #expect(fixture.image.role(named: "r") == nil)
    #expect(
      fixture.rejection(.dropRole(WellKnown.firstRole))?.message
        == "cannot drop role abc because it is required by the database system")
  }
}
