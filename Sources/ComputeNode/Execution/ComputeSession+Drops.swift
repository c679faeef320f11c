import EventLoop
import Metadata
import PostgresWire
import SQLTree
import SQLTypes

/// DROP.
extension ComputeSession {
  func drop(_ statement: DropStatement) async throws(SQLError) {
    switch statement.kind {
    case .table, .index, .sequence, .view: try await dropRelations(statement)
    case .schema: try await dropSchemas(statement)
    case .database, .materializedView, .other:
      throw SQLError(.featureNotSupported, "DROP \(statement.kind.words.uppercased()) is not supported")
    }
  }

  private func dropRelations(_ statement: DropStatement) async throws(SQLError) {
    var ids: [ObjectID] = []
    for name in statement.names {
      guard let id = try dropped(name, statement) else { continue }
      if !ids.contains(id) { ids.append(id) }
    }
    guard !ids.isEmpty else { return }
    let isCascade = statement.isCascade
    switch statement.kind {
    case .table: try await append([.dropTables(ids, isCascade: isCascade)])
    case .index: try await append([.dropIndexes(ids, isCascade: isCascade)])
    case .sequence: try await append([.dropSequences(ids, isCascade: isCascade)])
    default: try await append([.dropViews(ids, isCascade: isCascade)])
    }
  }

  /// The object of a name; nil where it is missing and IF EXISTS says that it may.
  private func dropped(_ words: QualifiedName, _ statement: DropStatement) throws(SQLError) -> ObjectID? {
    let kind = statement.kind.words
    let name = RelationName(
      catalog: words.count > 2 ? words[words.count - 3] : nil, schema: words.count > 1 ? words[words.count - 2] : nil,
      name: words.last ?? "")
    if let schemaName = name.schema, image.schema(named: schemaName) == nil {
      let message = "schema \"\(schemaName)\" does not exist"
      guard statement.ifExists else { throw SQLError(.invalidSchemaName, message) }
      report(.skipped(.invalidSchemaName, message + ", skipping"))
      return nil
    }
    guard let relation = try optionalRelation(name) else {
      let message = "\(kind) \"\(words.joined(separator: "."))\" does not exist"
      guard statement.ifExists else { throw SQLError(.undefinedTable, message) }
      report(.skipped(.undefinedTable, message + ", skipping"))
      return nil
    }
    switch (relation, statement.kind) {
    case (.table(let table), .table):
      try checkOwner(table.ownerID, kind, table.name)
      return table.id
    case (.index(let index), .index):
      if let table = image.tables[index.tableID] { try checkOwner(table.ownerID, kind, index.name) }
      return index.id
    case (.sequence(let sequence), .sequence):
      try checkOwner(sequence.ownerID, kind, sequence.name)
      return sequence.id
    case (.view(let view), .view):
      try checkOwner(view.ownerID, kind, view.name)
      return view.id
    default:
      let actual = relation.kindWords
      throw SQLError(
        .wrongObjectType, "\"\(name.name)\" is not \(Self.article(kind)) \(kind)",
        hint: "Use DROP \(actual.uppercased()) to remove \(Self.article(actual)) \(actual).")
    }
  }

  private static func article(_ word: String) -> String { word == "index" ? "an" : "a" }

  private func dropSchemas(_ statement: DropStatement) async throws(SQLError) {
    for words in statement.names {
      let name = words.last ?? ""
      guard let schema = image.schema(named: name) else {
        let message = "schema \"\(name)\" does not exist"
        guard statement.ifExists else { throw SQLError(.invalidSchemaName, message) }
        report(.skipped(.invalidSchemaName, message + ", skipping"))
        continue
      }
      try checkOwner(schema.ownerID, "schema", name)
      try await append([.dropSchema(schema.id, isCascade: statement.isCascade)])
    }
  }
}

extension Relation {
  /// As messages name it.
  fileprivate var kindWords: String {
    switch self {
    case .table: "table"
    case .index: "index"
    case .sequence: "sequence"
    case .view: "view"
    }
  }
}
