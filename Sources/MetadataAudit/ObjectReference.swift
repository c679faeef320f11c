import Metadata

/// What an operator can ask about.
package enum ObjectKind: String, Sendable, Hashable, CaseIterable {
  case table, index, sequence, view, schema, database, role, shard, node, tablet, migration, setting, topic, cluster
}

/// An object's identity, of any kind. None is ever used twice: an object that is created again has another one.
package enum ObjectIdentity: Sendable, Hashable {
  /// Tables, indexes, sequences, views, schemas, databases, roles: one counter serves them all.
  case object(ObjectID)
  case tablet(TabletID)
  case shard(ShardID)
  case node(NodeID)
  case migration(MigrationID)
  case setting(String)
  /// Of notes.
  case topic(String)
  case cluster
}

extension ObjectIdentity: CustomStringConvertible {
  package var description: String {
    switch self {
    case .object(let id): "\(id)"
    case .tablet(let id): "\(id)"
    case .shard(let id): "\(id)"
    case .node(let id): "\(id)"
    case .migration(let id): "\(id)"
    case .setting(let name), .topic(let name): name
    case .cluster: "cluster"
    }
  }
}

/// An object as an operator names it: `table public.t`, `shard 2`, `node compute-1`, `tablet 7`.
package struct ObjectReference: Sendable, Hashable, CustomStringConvertible {
  package var kind: ObjectKind
  /// Of tables, indexes, sequences and views; `public` where nobody says otherwise.
  package var schema: String
  /// Without its schema. A number stands for an identity.
  package var name: String

  package init(_ kind: ObjectKind, schema: String = "public", name: String) {
    self.kind = kind
    self.schema = schema
    self.name = name
  }

  /// Why words name no object.
  package struct Malformed: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
  }

  /// From words: a kind and a name, as arguments or as one text.
  package init(words: [String]) throws(Malformed) {
    let words = words.flatMap { $0.split(separator: " ").map(String.init) }
    let kinds = ObjectKind.allCases.map(\.rawValue)
    guard let first = words.first?.lowercased(), let kind = ObjectKind(rawValue: first) else {
      let near = words.first.map { NearNames.of($0, in: kinds) } ?? []
      throw Malformed(
        description: (words.isEmpty ? "Name an object" : "'\(words[0])' is no kind of object")
          + (near.isEmpty ? "" : ", did you mean \(near[0])?")
          + ": KIND NAME, where KIND is one of \(kinds.joined(separator: ", ")).")
    }
    guard kind != .cluster else {
      self.init(.cluster, name: "cluster")
      return
    }
    guard words.count == 2 else {
      throw Malformed(description: "Name the \(kind.rawValue): \(kind.rawValue) NAME.")
    }
    let parts = try Self.parts(of: words[1])
    switch kind {
    case .table, .index, .sequence, .view:
      self.init(kind, schema: parts.count == 2 ? parts[0] : "public", name: parts[parts.count - 1])
    case .tablet, .migration:
      guard UInt64(words[1]) != nil else {
        throw Malformed(description: "A \(kind.rawValue) is named by its number: \(kind.rawValue) 7.")
      }
      self.init(kind, name: words[1])
    // Settings have points in their names.
    case .setting, .topic, .node: self.init(kind, name: words[1])
    default:
      guard parts.count == 1 else { throw Malformed(description: "A \(kind.rawValue) is in no schema: '\(words[1])'.") }
      self.init(kind, name: parts[0])
    }
  }

  /// `a.b` in two; names in double quotes are taken as they are, others in lower case, as in SQL.
  private static func parts(of text: String) throws(Malformed) -> [String] {
    var parts = [""]
    var isQuoted = false
    for character in text {
      switch character {
      case "\"": isQuoted.toggle()
      case "." where !isQuoted: parts.append("")
      default: parts[parts.count - 1] += isQuoted ? String(character) : character.lowercased()
      }
    }
    guard !isQuoted, (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else {
      throw Malformed(description: "'\(text)' is no name: write NAME or SCHEMA.NAME, with double quotes where needed.")
    }
    return parts
  }

  /// Whether objects of that kind are in schemas.
  package var isRelation: Bool { [.table, .index, .sequence, .view].contains(kind) }

  package var description: String { "\(kind.rawValue) " + (isRelation ? "\(schema).\(name)" : name) }
}

/// Names like a name that does not exist.
package enum NearNames {
  /// At most three of the names, the nearest first: those that a few slips of the finger lead to.
  package static func of(_ name: String, in names: some Sequence<String>) -> [String] {
    let wanted = Array(name.lowercased())
    let limit = max(1, min(3, wanted.count / 2))
    let near = names.compactMap { candidate -> (distance: Int, name: String)? in
      let distance = distance(wanted, Array(candidate.lowercased()), limit: limit)
      return distance <= limit ? (distance, candidate) : nil
    }
    return near.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
  }

  /// Insertions, deletions and replacements that lead from one to the other (Levenshtein); beyond the limit only that.
  private static func distance(_ left: [Character], _ right: [Character], limit: Int) -> Int {
    guard abs(left.count - right.count) <= limit else { return limit + 1 }
    var row = Array(0...right.count)
    for (position, character) in left.enumerated() {
      var diagonal = row[0]
      row[0] = position + 1
      for column in right.indices {
        let above = row[column + 1]
        row[column + 1] = min(above + 1, row[column] + 1, diagonal + (character == right[column] ? 0 : 1))
        diagonal = above
      }
    }
    return row[right.count]
  }
}
