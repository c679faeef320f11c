import SQLTypes

/// A place in an image seen as a tree: what an operator's `ls` and `cat` show. Children are made when they are asked for.
package enum ImageNode: Sendable {
  case folder(@Sendable () -> [ImageEntry])
  case text(String)
  /// In decimal digits.
  case number(String)
  case flag(Bool)
  case list([String])

  static func number(_ value: some BinaryInteger) -> ImageNode { .number(String(value)) }
}

/// A child of a folder.
package struct ImageEntry: Sendable {
  /// Without slashes: those in names of objects are `%2F`, and percent signs `%25`.
  package var name: String
  package var node: ImageNode
  package init(_ name: String, _ node: ImageNode) {
    self.name = name.contains(where: { $0 == "/" || $0 == "%" }) ? ImageEntry.escaped(name) : name
    self.node = node
  }

  private static func escaped(_ name: String) -> String {
    var result = ""
    for character in name {
      switch character {
      case "/": result += "%2F"
      case "%": result += "%25"
      default: result.append(character)
      }
    }
    return result
  }
}

/// An image as a tree.
package struct ImageTree: Sendable {
  package let image: Image

  package init(_ image: Image) { self.image = image }

  /// Why there is nothing at a path.
  package struct Missing: Error, Sendable, Equatable, CustomStringConvertible {
    /// The part of the path that there is.
    package let parent: String
    package let name: String
    /// What there is beside it, the first of them.
    package let siblings: [String]
    package init(parent: String, name: String, siblings: [String]) {
      self.parent = parent
      self.name = name
      self.siblings = siblings
    }
    package var description: String {
      siblings.isEmpty
        ? "There is nothing below \(parent)."
        : "There is no \(name) in \(parent). There is: \(siblings.joined(separator: ", "))."
    }
  }

  /// What is at a path: names separated by slashes, of which those at its ends do not count.
  package func node(at path: String) throws(Missing) -> ImageNode {
    var node = root
    var parent = ""
    for part in path.split(separator: "/") {
      let name = String(part)
      guard case .folder(let children) = node else {
        throw Missing(parent: parent.isEmpty ? "/" : parent, name: name, siblings: [])
      }
      let entries = children()
      guard let entry = entries.first(where: { $0.name == name }) else {
        throw Missing(
          parent: parent.isEmpty ? "/" : parent, name: name, siblings: entries.prefix(20).map(\.name))
      }
      node = entry.node
      parent += "/" + name
    }
    return node
  }

  /// All of it.
  package var root: ImageNode {
    let image = image
    return .folder {
      [
        ImageEntry("cluster", image.clusterNode),
        ImageEntry(
          "settings", .folder { image.settings.sorted { $0.key < $1.key }.map { ImageEntry($0.key, .text($0.value)) } }),
        ImageEntry(
          "nodes", .folder { image.nodes.values.sorted { $0.id < $1.id }.map { ImageEntry("\($0.id)", $0.treeNode) } }),
        ImageEntry("removed_nodes", .list(image.removedNodes.sorted().map(\.description))),
        ImageEntry(
          "shards",
          .folder { image.shards.values.sorted { $0.id < $1.id }.map { ImageEntry("\($0.id)", image.treeNode($0)) } }),
        ImageEntry("removed_shards", .list(image.removedShards.sorted().map(\.description))),
        ImageEntry(
          "databases",
          .folder { image.databases.values.sorted { $0.id < $1.id }.map { ImageEntry($0.name, image.treeNode($0)) } }),
        ImageEntry(
          "roles",
          .folder { image.roles.values.sorted { $0.id < $1.id }.map { ImageEntry($0.name, image.treeNode($0)) } }),
        ImageEntry("schemas", image.schemasNode),
        ImageEntry("tables", image.bySchema(image.tables.values.map { ($0.schemaID, $0.name, image.treeNode($0)) })),
        ImageEntry(
          "sequences", image.bySchema(image.sequences.values.map { ($0.schemaID, $0.name, image.treeNode($0)) })),
        ImageEntry("views", image.bySchema(image.views.values.map { ($0.schemaID, $0.name, image.treeNode($0)) })),
        ImageEntry(
          "functions",
          image.bySchema(image.functions.values.map { ($0.schemaID, $0.signature, image.treeNode($0)) })),
        ImageEntry(
          "tablets",
          .folder { image.tablets.values.sorted { $0.id < $1.id }.map { ImageEntry("\($0.id)", image.treeNode($0)) } }),
        ImageEntry("transactions", image.transactionsNode),
        ImageEntry("migrations", image.migrationsNode),
        ImageEntry("schema_changes", image.schemaChangesNode),
        ImageEntry("manager", image.managerNode),
        ImageEntry("compaction_holds", image.holdsNode),
        ImageEntry("notes", image.notesNode),
        ImageEntry("requests", image.requestsNode),
      ]
    }
  }
}

extension Image {
  fileprivate var clusterNode: ImageNode {
    .folder { [self] in
      [
        ImageEntry("id", .text(ByteaText.hexadecimal(clusterID?.rawValue ?? []))),
        ImageEntry("name", .text(clusterName)),
        ImageEntry("feature_level", .number(featureLevel)), ImageEntry("index", .number(index)),
        ImageEntry("hash", .text("\(hash)")), ImageEntry("next_object_id", .number(nextObjectID.rawValue)),
        ImageEntry("next_tablet_id", .number(nextTabletID.rawValue)),
        ImageEntry("next_migration_id", .number(migrations.nextID.rawValue)),
      ]
    }
  }

  fileprivate var schemasNode: ImageNode {
    .folder { [self] in
      schemas.values.sorted { $0.id < $1.id }.map { schema in
        ImageEntry(
          schema.name,
          .folder { objectEntries(schema.id) + [ImageEntry("owner", .text(roleName(schema.ownerID)))] })
      }
    }
  }

  /// Folders by schema, with what is in it by name.
  fileprivate func bySchema(_ objects: [(schema: ObjectID, name: String, node: ImageNode)]) -> ImageNode {
    let groups = Dictionary(grouping: objects, by: \.schema)
    return .folder { [self] in
      groups.keys.sorted().map { schema in
        ImageEntry(
          schemas[schema]?.name ?? "\(schema)",
          .folder { (groups[schema] ?? []).sorted { $0.name < $1.name }.map { ImageEntry($0.name, $0.node) } })
      }
    }
  }

  private func objectEntries(_ id: ObjectID) -> [ImageEntry] {
    var entries = [ImageEntry("id", .number(id.rawValue)), ImageEntry("version", .number(versions[id] ?? 0))]
    if let list = grants[id] {
      entries.append(
        ImageEntry(
          "privileges",
          .folder { [self] in
            list.map { grant in
              ImageEntry(
                grant.grantee.map(roleName) ?? "PUBLIC",
                .folder {
                  [
                    ImageEntry("privileges", .list(grant.privileges.words)),
                    ImageEntry("grant_options", .list(grant.grantOptions.words)),
                  ]
                })
            }
          }))
    }
    return entries
  }

  private func roleName(_ id: ObjectID) -> String { roles[id]?.name ?? "\(id)" }

  fileprivate func treeNode(_ shard: ShardDefinition) -> ImageNode {
    .folder { [self] in
      [
        ImageEntry("name", .text(shard.name)), ImageEntry("replicas", .list(shard.replicas.map(\.description))),
        ImageEntry("tablets", .number(tabletCounts[shard.id] ?? 0)), ImageEntry("draining", .flag(shard.isDraining)),
        ImageEntry("class", .text(shard.shardClass)),
      ]
    }
  }

  fileprivate func treeNode(_ database: DatabaseDefinition) -> ImageNode {
    .folder { [self] in objectEntries(database.id) + [ImageEntry("owner", .text(roleName(database.ownerID)))] }
  }

  /// Without its verifier, which is no secret in the clear, but nobody's business either.
  fileprivate func treeNode(_ role: RoleDefinition) -> ImageNode {
    .folder { [self] in
      objectEntries(role.id) + [
        ImageEntry("superuser", .flag(role.isSuperuser)), ImageEntry("can_login", .flag(role.canLogin)),
        ImageEntry("can_create_database", .flag(role.canCreateDatabase)),
        ImageEntry("can_create_role", .flag(role.canCreateRole)),
        ImageEntry("connection_limit", .number(role.connectionLimit)),
        ImageEntry("has_password", .flag(role.verifier != nil)),
        ImageEntry("member_of", .list((memberships[role.id] ?? []).map { roleName($0.roleID) })),
      ]
    }
  }

  fileprivate func treeNode(_ table: TableDefinition) -> ImageNode {
    .folder { [self] in
      var entries = objectEntries(table.id)
      entries.append(ImageEntry("owner", .text(roleName(table.ownerID))))
      if let view = materializedViews[table.id] {
        entries.append(ImageEntry("query", .text(view.query)))
        entries.append(ImageEntry("populated", .flag(view.isPopulated)))
        entries.append(ImageEntry("refreshed_index", .number(view.refreshedIndex)))
      }
      entries.append(ImageEntry("columns", .folder { table.columns.map { ImageEntry($0.name, $0.treeNode) } }))
      if !table.checks.isEmpty {
        entries.append(
          ImageEntry("checks", .folder { table.checks.map { ImageEntry($0.name, .text($0.expression)) } }))
      }
      let indexes = indexes(of: table.id)
      if !indexes.isEmpty {
        entries.append(ImageEntry("indexes", .folder { indexes.map { ImageEntry($0.name, treeNode($0, table)) } }))
      }
      if let partitioning = table.partitioning {
        let columns = partitioning.columns.map { number in
          table.columns.indices.contains(number - 1) ? table.columns[number - 1].name : "\(number)"
        }
        entries.append(ImageEntry("partition_strategy", .text("\(partitioning.strategy)")))
        entries.append(ImageEntry("partition_columns", .list(columns)))
        entries.append(ImageEntry("partitions", .list(partitions(of: table.id).map(\.name))))
      }
      if let partition = table.partition {
        entries.append(ImageEntry("parent", .text(tables[partition.parentID]?.name ?? "\(partition.parentID)")))
      }
      if let tablet = tablet(of: table.id) { entries.append(ImageEntry("tablet", treeNode(tablet))) }
      return entries
    }
  }

  private func treeNode(_ index: IndexDefinition, _ table: TableDefinition) -> ImageNode {
    .folder { [self] in
      objectEntries(index.id) + [
        ImageEntry("unique", .flag(index.isUnique)), ImageEntry("primary_key", .flag(index.constraint == .primaryKey)),
        ImageEntry(
          "columns",
          .list(
            index.parts.map { part in
              table.columns.indices.contains(part.column - 1) ? table.columns[part.column - 1].name : "\(part.column)"
            })),
      ]
    }
  }

  fileprivate func treeNode(_ sequence: SequenceDefinition) -> ImageNode {
    .folder { [self] in
      objectEntries(sequence.id) + [
        ImageEntry("owner", .text(roleName(sequence.ownerID))), ImageEntry("type", .text(sequence.type.displayName)),
        ImageEntry("start", .number(sequence.start)), ImageEntry("increment", .number(sequence.increment)),
        ImageEntry("minimum", .number(sequence.minimum)), ImageEntry("maximum", .number(sequence.maximum)),
        ImageEntry("last_reserved", sequence.lastReserved.map { .number($0) } ?? .text("")),
      ]
    }
  }

  fileprivate func treeNode(_ view: ViewDefinition) -> ImageNode {
    .folder { [self] in
      objectEntries(view.id) + [
        ImageEntry("owner", .text(roleName(view.ownerID))), ImageEntry("query", .text(view.query)),
        ImageEntry("columns", .list(view.columns.map(\.name))),
        ImageEntry("reads", .list(view.dependencies.map { relation($0)?.name ?? "\($0)" })),
      ]
    }
  }

  fileprivate func treeNode(_ function: FunctionDefinition) -> ImageNode {
    .folder { [self] in
      objectEntries(function.id) + [
        ImageEntry("owner", .text(roleName(function.ownerID))),
        ImageEntry("result", .text(function.result?.displayName ?? "void")),
        ImageEntry("returns_set", .flag(function.returnsSet)),
        ImageEntry("volatility", .text(function.volatility.rawValue)), ImageEntry("strict", .flag(function.isStrict)),
        ImageEntry("body", .text(function.body)),
      ]
    }
  }

  fileprivate func treeNode(_ tablet: TabletDefinition) -> ImageNode {
    .folder { [self] in
      var entries = [
        ImageEntry("id", .number(tablet.id.rawValue)),
        ImageEntry("table", .text(tables[tablet.tableID]?.name ?? "\(tablet.tableID)")),
        ImageEntry("shard", .number(tablet.shardID.rawValue)), ImageEntry("epoch", .number(tablet.epoch)),
        ImageEntry("generation", .number(tablet.generation)),
      ]
      if tablet.isMirror { entries.append(ImageEntry("copies", .list(tablet.copies.map(\.description)))) }
      if let migration = migrations.open(of: tablet.id) {
        entries.append(ImageEntry("migration", .number(migration.plan.id.rawValue)))
      }
      return entries
    }
  }
}

extension NodeDefinition {
  fileprivate var treeNode: ImageNode {
    .folder {
      var entries = [
        ImageEntry("name", .text(name)), ImageEntry("role", .text("\(role)")), ImageEntry("host", .text(host)),
        ImageEntry("port", .number(port)),
      ]
      if let postgresPort { entries.append(ImageEntry("postgres_port", .number(postgresPort))) }
      if let failure { entries.append(ImageEntry("failure", .text(failure))) }
      if let drainSeconds { entries.append(ImageEntry("drain_seconds", .number(Int(drainSeconds)))) }
      return entries
    }
  }
}

extension ColumnDefinition {
  fileprivate var treeNode: ImageNode {
    .folder {
      var entries = [ImageEntry("type", .text(type.displayName)), ImageEntry("not_null", .flag(isNotNull))]
      if let defaultExpression { entries.append(ImageEntry("default", .text(defaultExpression))) }
      if let identity { entries.append(ImageEntry("identity", .text("\(identity)"))) }
      return entries
    }
  }
}
