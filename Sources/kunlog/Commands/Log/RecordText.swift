import Metadata
import SQLTypes

/// A record for people: a line for the record, a line for each event.
enum RecordText {
  static func text(_ record: Record, _ names: ObjectNames) -> String {
    var head =
      "\(record.index)  \(RecordTime.text(record.timeMicroseconds))  term \(record.term)  by \(record.principal)"
    if let cause = record.cause { head += "  because of \(cause)" }
    return ([head] + record.events.map { "    \(padded($0.kind)) \(EventText.text($0, names))" })
      .joined(separator: "\n")
  }

  private static func padded(_ kind: String) -> String {
    kind + String(repeating: " ", count: max(0, 20 - kind.count))
  }
}

/// What an event says, in one line.
enum EventText {
  static func text(_ event: Event, _ names: ObjectNames) -> String {
    switch event {
    case .clusterCreated(let id, let name, let level):
      return "\(name), id \(ByteaText.hexadecimal(id.rawValue)), feature level \(level)"
    case .featureLevelRaised(let level): return "\(level)"
    case .clusterRestored(let restored):
      return "\(restored.name), id \(ByteaText.hexadecimal(restored.clusterID.rawValue)), from index "
        + "\(restored.originIndex) of cluster \(ByteaText.hexadecimal(restored.originID.rawValue))"
    case .settingChanged(let name, let value): return "\(name) = \(value ?? "(default)")"
    case .nodeRegistered(let node): return "\(node.role) node \(node.name) (\(node.id)) at \(address(node))"
    case .nodeAddressChanged(let id, let host, let port, let postgresPort):
      return "\(names[id]) at \(host):\(port)" + (postgresPort.map { ", psql \($0)" } ?? "")
    case .nodeRemoved(let id): return names[id]
    case .shardCreated(let shard):
      let ofClass = shard.shardClass == ShardClass.hot ? "" : ", class \(shard.shardClass)"
      return "\(shard.name) (\(shard.id)) on \(shard.replicas.map { names[$0] }.joined(separator: ", "))" + ofClass
    case .replicaAdded(let shard, let node): return "\(names[node]) to shard \(shard)"
    case .replicaRemoved(let shard, let node): return "\(names[node]) from shard \(shard)"
    case .roleCreated(let role), .roleAltered(let role): return text(role)
    case .roleDropped(let id): return names[id]
    case .tabletCreated(let tablet):
      let place =
        tablet.isMirror
        ? "shards " + tablet.copies.map(\.description).joined(separator: ", ") : "shard \(tablet.shardID)"
      return "\(tablet.id) of \(names[tablet.tableID]) on \(place), epoch \(tablet.epoch)"
    case .tabletDropped(let id): return names[id]
    case .tabletCleared(let id, let generation): return "\(names[id]), generation \(generation)"
    case .noteRecorded(let topic, let content): return "\(topic): \(text(content))"
    case .transaction(let event): return text(event)
    case .manager(let event): return text(event, names)
    case .migration(let event): return text(event, names)
    case .privilege(let event): return text(event, names)
    case .materializedView(let event): return text(event, names)
    case .function(let event): return text(event, names)
    case .schemaChange(let event): return text(event, names)
    case .shard(.drainBegun(let id, let reason)): return "shard \(id)" + (reason.isEmpty ? "" : ": \(reason)")
    case .shard(.classSet(let id, let name)): return "shard \(id): \(name)"
    case .shard(let event): return "shard \(event.shardID)"
    case .node(.failed(let id, let reason)): return "\(names[id]): \(reason)"
    case .node(.drainBegun(let id, let seconds)): return "\(names[id]), within \(seconds) s"
    case .node(let event): return names[event.nodeID]
    default: return catalogText(event, names)
    }
  }

  private static func address(_ node: NodeDefinition) -> String {
    "\(node.host):\(node.port)" + (node.postgresPort.map { ", psql \($0)" } ?? "")
  }

  /// A note's content: text where it is printable, else hexadecimal.
  private static func text(_ content: [UInt8]) -> String {
    let text = String(decoding: content, as: UTF8.self)
    let isText = text.utf8.elementsEqual(content) && text.unicodeScalars.allSatisfy { $0.value >= 32 || $0 == "\t" }
    return isText ? text : ByteaText.text(content)
  }

  private static func text(_ role: RoleDefinition) -> String {
    var words = ["\(role.name) (\(role.id))"]
    if role.isSuperuser { words.append("superuser") }
    if role.canLogin { words.append("login") }
    if role.canCreateRole { words.append("createrole") }
    if role.canCreateDatabase { words.append("createdb") }
    return words.joined(separator: " ")
  }

  private static func catalogText(_ event: Event, _ names: ObjectNames) -> String {
    switch event {
    case .databaseCreated(let database): return "\(database.name) (\(database.id))"
    case .schemaCreated(let schema): return "\(schema.name) (\(schema.id))"
    case .schemaDropped(let id), .tableDropped(let id), .indexDropped(let id), .sequenceDropped(let id),
      .viewDropped(let id):
      return names[id]
    case .tableCreated(let table): return text(table, names)
    case .tableOptionsChanged(let id, let options): return "\(names[id]): \(options.isEmpty ? "(none)" : text(options))"
    case .columnDefaultChanged(let id, let column, let expression):
      return "column \(column) of \(names[id]): \(expression ?? "(none)")"
    case .indexCreated(let index): return text(index, names)
    case .sequenceCreated(let sequence), .sequenceAltered(let sequence):
      return
        "\(sequence.name) (\(sequence.id)) \(sequence.type.displayName) from \(sequence.start) by \(sequence.increment)"
    case .sequenceReserved(let id, let first, let last, let count):
      return "\(names[id]) \(first)…\(last), \(count) values"
    case .sequenceValueSet(let id, let last, let resumesAt):
      return "\(names[id]) " + (last.map { "after \($0)" } ?? "to \(resumesAt)")
    case .viewCreated(let view), .viewReplaced(let view): return "\(view.name) (\(view.id)) as \(view.query)"
    default: return ""
    }
  }

  private static func text(_ options: [String: String]) -> String {
    options.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }.joined(separator: ", ")
  }

  private static func text(_ table: TableDefinition, _ names: ObjectNames) -> String {
    var text = "\(table.name) (\(table.id))"
    if let partition = table.partition {
      text += " partition of \(names[partition.parentID]) \(self.text(partition.bound))"
    }
    text +=
      ": "
      + table.columns.map { column in
        "\(column.name) \(column.type.displayName)" + (column.isNotNull ? " not null" : "")
      }.joined(separator: ", ")
    for check in table.checks { text += "; check \(check.name) (\(check.expression))" }
    if let partitioning = table.partitioning {
      let columns = partitioning.columns.map { table.columns[$0 - 1].name }.joined(separator: ", ")
      text += "; partition by \(partitioning.strategy) (\(columns))"
    }
    if !table.options.isEmpty { text += "; with \(self.text(table.options))" }
    return text
  }

  private static func text(_ index: IndexDefinition, _ names: ObjectNames) -> String {
    let kind =
      switch index.constraint {
      case .primaryKey: "primary key"
      case .unique: "unique constraint"
      case nil: index.isUnique ? "unique" : "index"
      }
    let columns = index.parts.map { "\($0.column)\($0.isDescending ? " desc" : "")" }.joined(separator: ", ")
    return "\(index.name) (\(index.id)) on \(names[index.tableID]): \(kind) of column \(columns)"
  }

  private static func text(_ bound: PartitionBound) -> String {
    func value(_ value: StoredValue) -> String {
      switch value {
      case .null: "null"
      case .integer(let integer): "\(integer)"
      case .real(let real): "\(real)"
      case .text(let text): "'\(text)'"
      case .blob(let bytes): "'\(ByteaText.text(bytes))'"
      }
    }
    func datum(_ datum: PartitionBound.Datum) -> String {
      switch datum {
      case .minimum: "minvalue"
      case .maximum: "maxvalue"
      case .value(let stored): value(stored)
      }
    }
    switch bound {
    case .hash(let modulus, let remainder): return "with (modulus \(modulus), remainder \(remainder))"
    case .list(let values): return "in (\(values.map(value).joined(separator: ", ")))"
    case .range(let from, let to):
      return "from (\(from.map(datum).joined(separator: ", "))) to (\(to.map(datum).joined(separator: ", ")))"
    case .standard: return "default"
    }
  }
}
