import Coordination
import EventLoop
import Metadata
import PostgresWire
import SQLTree
import SQLTypes

/// ALTER TABLE … SET (…), RESET (…).
extension ComputeSession {
  func alterTable(_ statement: AlterTableStatement, text: String) async throws(SQLError) {
    guard try optionalRelation(statement.name) != nil || !statement.ifExists else {
      report(.skipped(.undefinedTable, "relation \"\(statement.name.name)\" does not exist, skipping"))
      return
    }
    let table = try table(statement.name, text: text)
    try checkOwner(table.ownerID, "table", table.name)
    var seen: Set<String> = []
    for option in statement.set + statement.reset where !seen.insert(option.name).inserted {
      throw SQLError(
        .invalidParameterValue, "parameter \"\(option.name)\" specified more than once",
        position: position(option.location, text))
    }
    var set: [String: String] = [:]
    for option in statement.set { set[option.name] = try value(of: option, at: position(option.location, text)) }
    let namesClass = seen.contains(TableDefinition.classOption) || seen.contains(TableDefinition.coldAfterOption)
    let others = namesClass ? image.counterparts(of: table) : []
    for other in others { try checkOwner(other.ownerID, "table", other.name) }
    let events = try await append([
      .setTableOptions(table.id, set: set, reset: Set(statement.reset.map(\.name)))
    ])
    guard namesClass, !events.isEmpty else { return }
    if !others.isEmpty {
      notice("changed for all \(others.count + 1) tables of table group \"\(image.tableGroup(of: table) ?? "")\"")
    }
    noteWhatMoves(set)
  }

  /// The value of a table's option as text.
  func value(of option: DefinitionOption, at place: Int?) throws(SQLError) -> String {
    let value = option.value.text
    let needsValue = !TableDefinition.heapOptions.contains(option.name)
    guard !value.isEmpty || !needsValue else {
      throw SQLError(.invalidParameterValue, "parameter \"\(option.name)\" needs a value", position: place)
    }
    return value
  }

  /// Says where nothing moves by itself what would move it.
  private func noteWhatMoves(_ set: [String: String]) {
    var named = set[TableDefinition.classOption]
    if set[TableDefinition.coldAfterOption] != nil { named = ShardClass.cold }
    if let named, !image.hasTaker(ofClass: named) {
      notice(
        "there is no shard of class \(named) yet: what belongs there stays where it is",
        hint: "kunlog shard add --class \(named)")
    } else if !RebalanceSettings(image).isAutomatic {
      notice("what has to move is moved by kunlog rebalance --apply, as automatic rebalancing is off")
    }
  }

  private func notice(_ message: String, hint: String? = nil) {
    report(SQLNotice(severity: .notice, fields: SQLError(.successfulCompletion, message, hint: hint)))
  }
}
