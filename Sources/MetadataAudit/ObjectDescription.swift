import Metadata
import SQLTypes

/// An object of an image in words: what listings show and what differences are made of.
package struct ObjectDescription: Sendable, Equatable, Codable {
  package struct Field: Sendable, Equatable, Codable {
    package var name: String
    package var value: String
    package init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }
  /// See `ObjectKind`.
  package var kind: String
  package var id: String
  package var name: String
  package var fields: [Field]
  package init(kind: ObjectKind, id: String, name: String, fields: [Field]) {
    self.kind = kind.rawValue
    self.id = id
    self.name = name
    self.fields = fields
  }
}

extension Image {
  /// All objects of a kind, by identity.
  package func descriptions(_ kind: ObjectKind) -> [ObjectDescription] {
    switch kind {
    case .cluster: clusterID == nil ? [] : [describeCluster()]
    case .setting: settings.keys.sorted().map(describeSetting)
    case .topic: notes.keys.sorted().compactMap(describeTopic)
    case .node: nodes.values.sorted { $0.id < $1.id }.map(describe)
    case .shard: shards.values.sorted { $0.id < $1.id }.map(describe)
    case .tablet: tablets.values.sorted { $0.id < $1.id }.map(describe)
    case .migration: migrations.open.values.sorted { $0.plan.id < $1.plan.id }.map(describe)
    case .database: databases.values.sorted { $0.id < $1.id }.map(describe)
    case .schema: schemas.values.sorted { $0.id < $1.id }.map(describe)
    case .role: roles.values.sorted { $0.id < $1.id }.map(describe)
    case .table: tables.values.sorted { $0.id < $1.id }.map(describe)
    case .index: indexes.values.sorted { $0.id < $1.id }.map(describe)
    case .sequence: sequences.values.sorted { $0.id < $1.id }.map(describe)
    case .view: views.values.sorted { $0.id < $1.id }.map(describe)
    }
  }

  /// How many objects of a kind there are.
  package func count(_ kind: ObjectKind) -> Int {
    switch kind {
    case .cluster: clusterID == nil ? 0 : 1
    case .setting: settings.count
    case .topic: notes.count
    case .node: nodes.count
    case .shard: shards.count
    case .tablet: tablets.count
    case .migration: migrations.open.count
    case .database: databases.count
    case .schema: schemas.count
    case .role: roles.count
    case .table: tables.count
    case .index: indexes.count
    case .sequence: sequences.count
    case .view: views.count
    }
  }

  // MARK: - Names

  /// `schema.name` of a relation, or its identity.
  package func relationName(_ id: ObjectID) -> String {
    guard let relation = relation(id) else { return "\(id)" }
    return qualified(relation.name, in: relation.schemaID)
  }

  func qualified(_ name: String, in schemaID: ObjectID) -> String {
    "\(schemas[schemaID]?.name ?? "\(schemaID)").\(name)"
  }

  func roleName(_ id: ObjectID) -> String { roles[id]?.name ?? "\(id)" }

  func nodeName(_ id: NodeID) -> String { nodes[id]?.name ?? "\(id)" }

  // MARK: - Cluster

  func describeCluster() -> ObjectDescription {
    ObjectDescription(
      kind: .cluster, id: ByteaText.hexadecimal(clusterID?.rawValue ?? []), name: clusterName,
      fields: [
        .init("id", ByteaText.hexadecimal(clusterID?.rawValue ?? [])), .init("name", clusterName),
        .init("feature level", "\(featureLevel)"),
        .init("removed nodes", removedNodes.sorted().map(\.description).joined(separator: ", ")),
        .init("manager", manager.nodeID.map { "\(nodeName($0)), epoch \(manager.epoch)" } ?? ""),
        .init("open transactions", transactions.open.isEmpty ? "" : "\(transactions.open.count)"),
      ])
  }

  func describeSetting(_ name: String) -> ObjectDescription {
    ObjectDescription(kind: .setting, id: name, name: name, fields: [.init("value", settings[name] ?? "")])
  }

  func describeTopic(_ name: String) -> ObjectDescription? {
    notes[name].map {
      ObjectDescription(
        kind: .topic, id: name, name: name, fields: [.init("notes", "\($0.count)"), .init("last", "\($0.lastIndex)")])
    }
  }

  func describe(_ node: NodeDefinition) -> ObjectDescription {
    ObjectDescription(
      kind: .node, id: "\(node.id)", name: node.name,
      fields: [
        .init("role", "\(node.role)"), .init("name", node.name), .init("address", "\(node.host):\(node.port)"),
      ] + (node.postgresPort.map { [.init("psql", "\(node.host):\($0)")] } ?? [])
        + (node.failure.map { [.init("failed", $0)] } ?? [])
        + (node.drainSeconds.map { [.init("drained within", "\($0) s")] } ?? []))
  }

  func describe(_ shard: ShardDefinition) -> ObjectDescription {
    ObjectDescription(
      kind: .shard, id: "\(shard.id)", name: shard.name,
      fields: [.init("name", shard.name), .init("replicas", shard.replicas.map(nodeName).joined(separator: ", "))])
  }

  func describe(_ tablet: TabletDefinition) -> ObjectDescription {
    ObjectDescription(
      kind: .tablet, id: "\(tablet.id)", name: "\(tablet.id)",
      fields: [
        .init("table", relationName(tablet.tableID)), .init("shard", "\(tablet.shardID)"),
        .init("epoch", "\(tablet.epoch)"), .init("generation", "\(tablet.generation)"),
      ] + (tablet.isMirror ? [.init("copies", tablet.copies.map(\.description).joined(separator: ", "))] : []))
  }

  func describe(_ migration: Migration) -> ObjectDescription {
    ObjectDescription(
      kind: .migration, id: "\(migration.plan.id)", name: "\(migration.plan.id)",
      fields: [
        .init("tablet", "\(migration.plan.tabletID)"), .init("from shard", "\(migration.plan.source)"),
        .init("to shard", "\(migration.plan.target)"),
        .init("phase", migration.isPaused ? migration.phase.text + ", paused" : migration.phase.text),
        .init("attempt", "\(migration.attempt)"), .init("remark", migration.remark),
      ])
  }

  // MARK: - Catalog

  func describe(_ database: DatabaseDefinition) -> ObjectDescription {
    ObjectDescription(
      kind: .database, id: "\(database.id)", name: database.name,
      fields: [.init("name", database.name), .init("owner", roleName(database.ownerID))] + privileges(database.id))
  }

  func describe(_ schema: SchemaDefinition) -> ObjectDescription {
    ObjectDescription(
      kind: .schema, id: "\(schema.id)", name: schema.name,
      fields: [.init("name", schema.name), .init("owner", roleName(schema.ownerID))] + privileges(schema.id))
  }

  /// The verifier is a secret: only its digest shows, so that a change is seen.
  func describe(_ role: RoleDefinition) -> ObjectDescription {
    ObjectDescription(
      kind: .role, id: "\(role.id)", name: role.name,
      fields: [
        .init("name", role.name), .init("superuser", "\(role.isSuperuser)"), .init("login", "\(role.canLogin)"),
        .init("create role", "\(role.canCreateRole)"), .init("create database", "\(role.canCreateDatabase)"),
        .init("connection limit", "\(role.connectionLimit)"),
        .init("password", role.verifier.map { "set, digest \(Self.digest($0))" } ?? "none"),
      ]
        + (memberships[role.id] ?? []).map {
          .init("member of \(roleName($0.roleID))", $0.isAdmin ? "with admin option" : "yes")
        })
  }

  /// What others than its owner may do with an object.
  private func privileges(_ id: ObjectID) -> [ObjectDescription.Field] {
    (grants[id] ?? []).map { grant in
      let options = grant.grantOptions.words
      return .init(
        "privileges of \(grant.grantee.map(roleName) ?? "PUBLIC")",
        grant.privileges.words.joined(separator: ", ")
          + (options.isEmpty ? "" : "; with grant option: \(options.joined(separator: ", "))"))
    }
  }

  private static func digest(_ text: String) -> String {
    var hash = SHA256()
    hash.update(Array(text.utf8))
    return ByteaText.hexadecimal(Array(hash.finish().prefix(4)))
  }

  func describe(_ table: TableDefinition) -> ObjectDescription {
    var fields: [ObjectDescription.Field] = [
      .init("schema", schemas[table.schemaID]?.name ?? "\(table.schemaID)"), .init("name", table.name),
      .init("owner", roleName(table.ownerID)),
    ]
    for (position, column) in table.columns.enumerated() {
      fields.append(.init("column \(position + 1)", "\(column.name) \(columnText(column))"))
    }
    for check in table.checks { fields.append(.init("check \(check.name)", check.expression)) }
    if let partitioning = table.partitioning {
      let columns = partitioning.columns.map {
        table.columns.indices.contains($0 - 1) ? table.columns[$0 - 1].name : "\($0)"
      }
      fields.append(.init("partition by", "\(partitioning.strategy) (\(columns.joined(separator: ", ")))"))
    }
    if let partition = table.partition {
      fields.append(.init("partition of", relationName(partition.parentID)))
      fields.append(.init("bound", PartitionText.text(partition.bound)))
    }
    for (name, value) in table.options.sorted(by: { $0.key < $1.key }) {
      fields.append(.init("option \(name)", value))
    }
    if let view = materializedViews[table.id] {
      fields.append(.init("materialized view of", view.query))
      fields.append(.init("populated", view.isPopulated ? "as of index \(view.refreshedIndex)" : "no"))
    }
    fields += privileges(table.id)
    return ObjectDescription(
      kind: .table, id: "\(table.id)", name: qualified(table.name, in: table.schemaID), fields: fields)
  }

  func columnText(_ column: ColumnDefinition) -> String {
    var text = column.type.displayName
    if column.isNotNull { text += " not null" }
    if let expression = column.defaultExpression { text += " default \(expression)" }
    switch column.identity {
    case .always: text += " generated always as identity"
    case .byDefault: text += " generated by default as identity"
    case nil: break
    }
    return text
  }

  func describe(_ index: IndexDefinition) -> ObjectDescription {
    let table = tables[index.tableID]
    let columns = index.parts.map { part in
      let name =
        table.flatMap { $0.columns.indices.contains(part.column - 1) ? $0.columns[part.column - 1].name : nil }
        ?? "column \(part.column)"
      return name + (part.isDescending ? " desc" : "")
        + (part.nullsFirst != part.isDescending ? " nulls \(part.nullsFirst ? "first" : "last")" : "")
    }
    let kind =
      switch index.constraint {
      case .primaryKey: "primary key"
      case .unique: "unique constraint"
      case nil: index.isUnique ? "unique index" : "index"
      }
    return ObjectDescription(
      kind: .index, id: "\(index.id)", name: qualified(index.name, in: index.schemaID),
      fields: [
        .init("name", index.name), .init("table", relationName(index.tableID)), .init("kind", kind),
        .init("columns", columns.joined(separator: ", ")),
      ])
  }

  func describe(_ sequence: SequenceDefinition) -> ObjectDescription {
    var fields: [ObjectDescription.Field] = [
      .init("name", sequence.name), .init("owner", roleName(sequence.ownerID)),
      .init("type", sequence.type.displayName), .init("start", "\(sequence.start)"),
      .init("increment", "\(sequence.increment)"), .init("minimum", "\(sequence.minimum)"),
      .init("maximum", "\(sequence.maximum)"), .init("cache", "\(sequence.cache)"),
      .init("cycle", "\(sequence.isCycle)"),
      .init("last reserved", sequence.lastReserved.map { "\($0)" } ?? "none, begins with \(sequence.resumesAt)"),
    ]
    if let owner = sequence.ownerTableID {
      fields.append(.init("owned by", "\(relationName(owner)) column \(sequence.ownerColumn)"))
    }
    fields += privileges(sequence.id)
    return ObjectDescription(
      kind: .sequence, id: "\(sequence.id)", name: qualified(sequence.name, in: sequence.schemaID), fields: fields)
  }

  func describe(_ view: ViewDefinition) -> ObjectDescription {
    ObjectDescription(
      kind: .view, id: "\(view.id)", name: qualified(view.name, in: view.schemaID),
      fields: [
        .init("name", view.name), .init("owner", roleName(view.ownerID)), .init("query", view.query),
        .init("columns", view.columns.map { "\($0.name) \($0.type.displayName)" }.joined(separator: ", ")),
        .init("reads", view.dependencies.map(relationName).joined(separator: ", ")),
      ] + privileges(view.id))
  }
}

/// A partition's bound as SQL has it after FOR VALUES.
package enum PartitionText {
  package static func text(_ bound: PartitionBound) -> String {
    switch bound {
    case .hash(let modulus, let remainder): "with (modulus \(modulus), remainder \(remainder))"
    case .list(let values): "in (\(values.map(text).joined(separator: ", ")))"
    case .range(let from, let to):
      "from (\(from.map(text).joined(separator: ", "))) to (\(to.map(text).joined(separator: ", ")))"
    case .standard: "default"
    }
  }

  private static func text(_ datum: PartitionBound.Datum) -> String {
    switch datum {
    case .minimum: "minvalue"
    case .maximum: "maxvalue"
    case .value(let value): text(value)
    }
  }

  private static func text(_ value: StoredValue) -> String {
    switch value {
    case .null: "null"
    case .integer(let integer): "\(integer)"
    case .real(let real): "\(real)"
    case .text(let text): "'\(text)'"
    case .blob(let bytes): "'\(ByteaText.text(bytes))'"
    }
  }
}
