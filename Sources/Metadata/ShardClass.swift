import SQLTypes

/// What a shard's storage is for, and what tables belong to: a name, `hot` unless something else is said.
package enum ShardClass {
  /// Of shards and tables that name none.
  package static let hot = "hot"
  /// To which partitions belong that `cold_after` says have expired.
  package static let cold = "cold"

  /// Whether it may name a class: an identifier in lower case.
  package static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= Decision.nameLengthLimit else { return false }
    let isLetter = { (byte: UInt8) in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "_")
    }
    return isLetter(first)
      && text.utf8.allSatisfy { isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }
}

extension TableDefinition {
  /// The option that names the class of the shards on which the table, or the partitions of a partitioned one, belong. A partition's own
  /// one counts before that of its table.
  package static let classOption = "shard_class"
  /// The option that says how old all values of a partition are before it belongs to the class `cold`: an interval.
  package static let coldAfterOption = "cold_after"

  /// Storage parameters of PostgreSQL's heap: kept for display, without effect.
  package static let heapOptions: Set<String> = ["fillfactor", "autovacuum_enabled", "parallel_workers"]

  /// The type of the key where partitions are ranges of time; nil: they are not.
  package var timeKeyType: SQLType? {
    guard let partitioning, partitioning.strategy == .range, let column = partitioning.columns.first,
      columns.indices.contains(column - 1)
    else { return nil }
    let type = columns[column - 1].type
    return [SQLType.date.oid, SQLType.timestamp.oid, SQLType.timestamptz.oid].contains(type.oid) ? type : nil
  }
}

/// To which classes tables belong at a moment, and why.
package struct ShardClassifier {
  package struct Answer: Sendable, Hashable {
    package var shardClass: String
    package var cause: Cause
  }

  package enum Cause: Sendable, Hashable {
    /// Nothing is said.
    case standard
    /// The table or partition names it.
    case named(by: ObjectID)
    /// All values of the partition are older than its table's `cold_after` allows. Its end in microseconds since 2000-01-01.
    case expired(partition: ObjectID, endMicroseconds: Int64)
  }

  /// What is on cold shards already stays there for so long before its time: clocks of managers differ.
  private static let toleranceMicroseconds: Int64 = 3_600_000_000
  /// From 1970-01-01 to 2000-01-01.
  private static let epochMicroseconds: Int64 = 946_684_800_000_000

  private let image: Image
  /// Since 2000-01-01.
  private let now: Int64
  /// What has ended by then has expired: by partitioned table.
  private var cutoffs: [ObjectID: Int64?] = [:]

  /// - Parameter timeMicroseconds: the moment, since 1970-01-01 UTC.
  package init(_ image: Image, timeMicroseconds: Int64) {
    self.image = image
    now = timeMicroseconds - Self.epochMicroseconds
  }

  /// - Parameter isCold: it is on a shard of the class `cold`.
  package mutating func answer(for table: TableDefinition, isCold: Bool = false) -> Answer {
    var (table, below) = (table, TableDefinition?.none)
    while true {
      if let below, let end = end(of: below, in: table), let cutoff = cutoff(of: table),
        end <= cutoff + (isCold ? Self.toleranceMicroseconds : 0)
      {
        return Answer(shardClass: ShardClass.cold, cause: .expired(partition: below.id, endMicroseconds: end))
      }
      if let name = table.options[TableDefinition.classOption] {
        return Answer(shardClass: name, cause: .named(by: table.id))
      }
      guard let parent = table.partition.flatMap({ image.tables[$0.parentID] }) else {
        return Answer(shardClass: ShardClass.hot, cause: .standard)
      }
      (below, table) = (table, parent)
    }
  }

  /// The same for the table of a tablet, where that is or will be.
  package mutating func answer(for tablet: TabletDefinition) -> Answer {
    guard let table = image.tables[tablet.tableID] else {
      return Answer(shardClass: ShardClass.hot, cause: .standard)
    }
    return answer(
      for: table, isCold: image.shards[image.destination(of: tablet)]?.shardClass == ShardClass.cold)
  }

  /// For people, why a tablet belongs where it does: `cold_after of 90 days: p2024 ended 2024-12-31`.
  package mutating func reason(for tablet: TabletID) -> String {
    guard let tablet = image.tablets[tablet] else { return "" }
    let answer = answer(for: tablet)
    switch answer.cause {
    case .standard: return "belongs on shards of class \(answer.shardClass)"
    case .named(let id):
      return "shard_class of \(image.tables[id]?.name ?? "\(id)") is \(answer.shardClass)"
    case .expired(let id, let end):
      let partition = image.tables[id]
      let parent = partition?.partition.flatMap { image.tables[$0.parentID] }
      let rule = parent?.options[TableDefinition.coldAfterOption] ?? ""
      return "cold_after of \(rule): \(partition?.name ?? "\(id)") ended \(Self.text(end))"
    }
  }

  /// The last day, or, where it does not end with one, the moment.
  private static func text(_ end: Int64) -> String {
    let day = DateTimeArithmetic.date(timestamp: end)
    guard let midnight = try? DateTimeArithmetic.timestamp(date: day), midnight == end else {
      return DateTimeText.timestamp(end)
    }
    return DateTimeText.date(day - 1)
  }

  private mutating func cutoff(of table: TableDefinition) -> Int64? {
    guard let text = table.options[TableDefinition.coldAfterOption] else { return nil }
    if let known = cutoffs[table.id] { return known }
    let cutoff = (try? IntervalInput.parse(text).negated()).flatMap { try? DateTimeArithmetic.add(timestamp: now, $0) }
    cutoffs[table.id] = .some(cutoff)
    return cutoff
  }

  /// All values of the partition are before that, or at it where its key has further columns. nil: it has no end.
  private func end(of partition: TableDefinition, in table: TableDefinition) -> Int64? {
    guard let type = table.timeKeyType, case .range(_, let to)? = partition.partition?.bound,
      case .value(.integer(let value))? = to.first
    else { return nil }
    return type.oid == SQLType.date.oid ? try? DateTimeArithmetic.timestamp(date: value) : value
  }
}

extension Image {
  /// The class that a table, or the nearest of those of which it is a partition, names.
  package func statedClass(of table: TableDefinition) -> String {
    var table = table
    while true {
      if let name = table.options[TableDefinition.classOption] { return name }
      guard let parent = table.partition.flatMap({ tables[$0.parentID] }) else { return ShardClass.hot }
      table = parent
    }
  }

  /// Whether it is a partition that may expire, by the rule of a table above it, and names no class itself.
  package func mayExpire(_ table: TableDefinition) -> Bool {
    var table = table
    while table.options[TableDefinition.classOption] == nil,
      let parent = table.partition.flatMap({ tables[$0.parentID] })
    {
      if parent.options[TableDefinition.coldAfterOption] != nil { return true }
      table = parent
    }
    return false
  }

  /// Whether a shard of the class takes tablets.
  package func hasTaker(ofClass name: String) -> Bool {
    shards.values.contains { $0.shardClass == name && !$0.isDraining }
  }

  /// The other tables and partitions of a table's group that have the same bounds, from the table down. They belong to one class.
  package func counterparts(of table: TableDefinition) -> [TableDefinition] {
    guard let place = groupPlace(of: table) else { return [] }
    return (tablesOfGroup[place.group] ?? []).compactMap { root in
      var id = root
      for bound in place.bounds {
        guard let next = partitions(of: id).first(where: { $0.partition?.bound == bound }) else { return nil }
        id = next.id
      }
      return id == table.id ? nil : tables[id]
    }
  }
}
