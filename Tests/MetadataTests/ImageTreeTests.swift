import Metadata
import SQLTypes
import Testing

/// An image as a tree of folders.
@Suite struct ImageTreeTests {
  private func tree() throws -> ImageTree {
    var fixture = try Fixture.cluster()
    try fixture.append(
      .createTable(draft("t", keys: [KeyDraft(kind: .primaryKey, columns: ["id"])], shard: 1)),
      .setSetting(name: "a/b%", value: "1"))
    try fixture.append(transaction(1, 1, .commit))
    try fixture.append(
      .migration(
        .plan(TabletID(rawValue: 1), target: ShardID(rawValue: 2), epoch: 1, maximumRetries: nil, reason: "r")))
    return ImageTree(fixture.image)
  }

  private func names(_ tree: ImageTree, _ path: String) throws -> [String] {
    guard case .folder(let children) = try tree.node(at: path) else { return [] }
    return children().map(\.name)
  }

  private func value(_ tree: ImageTree, _ path: String) throws -> String {
    switch try tree.node(at: path) {
    case .folder: "(folder)"
    case .text(let text): text
    case .number(let number): number
    case .flag(let flag): "\(flag)"
    case .list(let list): list.joined(separator: ",")
    }
  }

  @Test func pathsLeadToFoldersAndValues() throws {
    let tree = try tree()
    #expect(
      try names(tree, "/") == [
        "cluster", "settings", "nodes", "removed_nodes", "shards", "removed_shards", "databases", "roles",
        "schemas", "tables", "sequences", "views", "functions", "tablets", "transactions", "migrations",
        "schema_changes", "manager", "compaction_holds", "notes", "requests",
      ])
    #expect(try value(tree, "/cluster/name") == "test")
    #expect(try value(tree, "/cluster/feature_level") == "3")
    #expect(try value(tree, "/nodes/1/port") == "7000")
    #expect(try value(tree, "shards/2/replicas/") == "2")
    #expect(try value(tree, "/shards/1/tablets") == "1")
    #expect(try names(tree, "/tables/public") == ["t"])
    #expect(try value(tree, "/tables/public/t/columns/id/type") == "integer")
    #expect(try value(tree, "/tables/public/t/indexes/t_pkey/primary_key") == "true")
    #expect(try value(tree, "/tables/public/t/tablet/shard") == "1")
    #expect(try value(tree, "/tablets/1/migration") == "1")
    #expect(try value(tree, "/transactions/open/1-1-1/participants") == "1,2")
    #expect(try value(tree, "/migrations/open/1/phase") == "planned")
    #expect(try names(tree, "/migrations/ended") == [])
    #expect(try value(tree, "/manager/epoch") == "0")
    #expect(
      try value(tree, "/compaction_holds/1/text") == "transaction 1-1-1, commit, not resolved at shards 1, 2")
    #expect(try value(tree, "/settings/a%2Fb%25") == "1")
  }

  @Test func aPathThatLeadsNowhereSaysWhatThereIs() throws {
    let tree = try tree()
    #expect(throws: ImageTree.Missing(parent: "/tables/public", name: "u", siblings: ["t"])) {
      try tree.node(at: "/tables/public/u/id")
    }
    let error = #expect(throws: ImageTree.Missing.self) { try tree.node(at: "/cluster/name/x") }
    #expect(error?.description == "There is nothing below /cluster/name.")
    #expect(
      ImageTree.Missing(parent: "/shards", name: "9", siblings: ["1", "2"]).description
        == "There is no 9 in /shards. There is: 1, 2.")
  }

  /// Every path that the tree names leads somewhere.
  @Test func everyPathCanBeFollowed() throws {
    let tree = try tree()
    func follow(_ path: String) throws -> Int {
      guard case .folder(let children) = try tree.node(at: path) else { return 1 }
      return try children().reduce(0) { try $0 + follow("\(path)/\($1.name)") }
    }
    #expect(try follow("") > 80)
  }
}
