import EventLoop
import Glibc
import Metadata
import MetadataAudit
import MetadataWire
import SQLTypes
import SQLite

/// Records as tables of an SQLite database, which can be continued. Some thousand records are one transaction: the file holds
/// whole records at any time.
@LoopActor
final class SQLiteExport: ExportTarget {
  private(set) var last: (index: UInt64, hash: String)?
  private let path: String
  private let database: SQLiteDatabase
  private let isNew: Bool
  private var isInTransaction = false
  private var pending = 0
  private var committed = 0
  /// What objects are called, by category and identity.
  private var names: [String: (kind: String, name: String)] = [:]
  private var schemaNames: [ObjectID: String] = [:]

  private static let format = "1"
  private static let recordsPerTransaction = 5_000

  /// A new file, or one of the same cluster.
  /// - Parameter image: of the present: whose log it is, and names of what was created before the history begins.
  init(_ path: String, _ image: Image) throws {
    self.path = path
    isNew = !FileSystem.exists(path)
    guard !FileSystem.isDirectory(path) else { throw FileError("open", path, number: 21) }
    var options = SQLiteDatabase.Options()
    options.journalMode = "DELETE"
    options.synchronous = 2
    options.cacheKilobytes = 8192
    do {
      database = try SQLiteDatabase(.file(path), options: options)
    } catch {
      throw CommandFailure(description: "\(path) cannot be used as an SQLite database: \(error.message).")
    }
    // Verifiers of passwords are in it.
    if isNew { chmod(path, 0o600) }
    for schema in image.schemas.values { schemaNames[schema.id] = schema.name }
    var events = ImageEvents(image)
    while let some = events.take(1024) { for event in some { learn(event) } }
    try open(image.clusterID?.hexadecimal ?? "", image.clusterName)
  }

  private func open(_ clusterID: String, _ clusterName: String) throws {
    let tables = try database.query("SELECT name FROM sqlite_schema WHERE type = 'table'")
    guard tables.contains([.text("export")]) else {
      guard tables.isEmpty else {
        throw CommandFailure(
          description: "\(path) is a database, but no export of a metadata log. Name another file.")
      }
      try database.transaction {
        try database.execute(Self.schema)
        for (key, value) in [("format", Self.format), ("cluster_id", clusterID), ("cluster_name", clusterName)] {
          try database.run("INSERT INTO export VALUES (?, ?)", [.text(key), .text(value)])
        }
      }
      return
    }
    func value(_ key: String) throws -> String {
      guard
        case .text(let text)? = try database.query("SELECT value FROM export WHERE key = ?", [.text(key)]).first?.first
      else { return "" }
      return text
    }
    guard try value("format") == Self.format else {
      throw CommandFailure(
        description:
          "\(path) was written by another version of Kunlog (format \(try value("format"))). Name another file.")
    }
    guard try value("cluster_id") == clusterID else {
      throw CommandFailure(
        description:
          "\(path) is the export of cluster \(try value("cluster_name")) (\(try value("cluster_id"))), this is "
          + "\(clusterName) (\(clusterID)). Name another file.")
    }
    if let row = try database.query("SELECT record, hash FROM records ORDER BY record DESC LIMIT 1").first,
      case .integer(let index) = row[0], case .text(let hash) = row[1]
    {
      last = (UInt64(index), hash)
    }
    for row in try database.query("SELECT category, id, kind, name FROM objects") {
      guard case .text(let category) = row[0], case .text(let id) = row[1], case .text(let kind) = row[2],
        case .text(let name) = row[3]
      else { continue }
      names[category + " " + id] = (kind, name)
      if kind == "schema", let id = UInt32(id) { schemaNames[ObjectID(rawValue: id)] = name }
    }
  }

  func add(_ record: Record) throws {
    if !isInTransaction {
      try database.execute("BEGIN IMMEDIATE")
      isInTransaction = true
    }
    let index = Int64(record.index)
    try database.run(
      "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      [
        .integer(index), .integer(Int64(record.term)), .text(AuditTime.text(record.timeMicroseconds)),
        .integer(record.timeMicroseconds), .text(record.principal),
        record.requestID.map { .text($0.client) } ?? .null,
        record.requestID.map { .integer(Int64($0.sequence)) } ?? .null,
        record.cause.map { .integer(Int64($0)) } ?? .null, .integer(Int64(record.previousIndex)),
        .text("\(record.previousHash)"), .text("\(record.hash)"),
      ])
    for (ordinal, event) in record.events.enumerated() { try add(event, record: index, ordinal: Int64(ordinal)) }
    pending += 1
    if pending >= Self.recordsPerTransaction { try commit() }
  }

  private func add(_ event: Event, record: Int64, ordinal: Int64) throws {
    learn(event)
    let subject = event.subjects.first
    let known = subject.flatMap { names[Self.key($0)] }
    try database.run(
      "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      [
        .integer(record), .integer(ordinal), .text(event.family.rawValue), .text(event.kind),
        known.map { .text($0.kind) } ?? .null, subject.map { .text("\($0)") } ?? .null,
        known.map { .text($0.name) } ?? .null, .text((try? event.json()) ?? "{}"),
      ])
    for subject in event.subjects {
      try database.run(
        "INSERT OR IGNORE INTO event_objects VALUES (?, ?, ?, ?)",
        [.text(Self.category(subject)), .text("\(subject)"), .integer(record), .integer(ordinal)])
    }
    if let defined = event.definedObject, let name = names[Self.key(defined.identity)]?.name {
      try database.run(
        """
        INSERT INTO objects VALUES (?, ?, ?, ?, ?, NULL)
        ON CONFLICT (category, id) DO UPDATE SET name = excluded.name, dropped = NULL
        """,
        [
          .text(Self.category(defined.identity)), .text("\(defined.identity)"), .text(defined.kind.rawValue),
          .text(name),
          .integer(record),
        ])
    }
    if let ended = event.endedObject {
      try database.run(
        "UPDATE objects SET dropped = ? WHERE category = ? AND id = ?",
        [.integer(record), .text(Self.category(ended)), .text("\(ended)")])
    }
  }

  private func learn(_ event: Event) {
    guard let defined = event.definedObject else { return }
    if defined.kind == .schema, case .object(let id) = defined.identity { schemaNames[id] = defined.name }
    let name = defined.schemaID.map { "\(schemaNames[$0] ?? "\($0)").\(defined.name)" } ?? defined.name
    names[Self.key(defined.identity)] = (defined.kind.rawValue, name)
  }

  func finish() throws {
    try commit()
    database.close()
  }

  func abandon() {
    if isInTransaction { try? database.execute("ROLLBACK") }
    database.close()
    if isNew, committed == 0 { try? FileSystem.remove(path) }
  }

  private func commit() throws {
    guard isInTransaction else { return }
    do { try database.execute("COMMIT") } catch {
      throw CommandFailure(description: "\(path) cannot be written: \(error.message).")
    }
    committed += pending
    pending = 0
    isInTransaction = false
  }

  private static func key(_ identity: ObjectIdentity) -> String { category(identity) + " \(identity)" }

  /// Within a category identities are unique.
  private static func category(_ identity: ObjectIdentity) -> String {
    switch identity {
    case .object: "object"
    case .tablet: "tablet"
    case .shard: "shard"
    case .node: "node"
    case .migration: "migration"
    case .setting: "setting"
    case .topic: "topic"
    case .cluster: "cluster"
    }
  }

  private static let schema = """
    CREATE TABLE export (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE records (
      record INTEGER PRIMARY KEY, term INTEGER NOT NULL, time TEXT NOT NULL, time_microseconds INTEGER NOT NULL,
      principal TEXT NOT NULL, request_client TEXT, request_sequence INTEGER, cause INTEGER,
      previous_record INTEGER NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL);
    CREATE TABLE events (
      record INTEGER NOT NULL REFERENCES records, ordinal INTEGER NOT NULL, family TEXT NOT NULL, kind TEXT NOT NULL,
      object_kind TEXT, object_id TEXT, object_name TEXT, payload TEXT NOT NULL,
      PRIMARY KEY (record, ordinal)) WITHOUT ROWID;
    CREATE TABLE objects (
      category TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
      dropped INTEGER, PRIMARY KEY (category, id)) WITHOUT ROWID;
    CREATE TABLE event_objects (
      category TEXT NOT NULL, id TEXT NOT NULL, record INTEGER NOT NULL, ordinal INTEGER NOT NULL,
      PRIMARY KEY (category, id, record, ordinal)) WITHOUT ROWID;
    CREATE INDEX records_by_time ON records (time_microseconds);
    CREATE INDEX records_by_principal ON records (principal, record);
    CREATE INDEX events_by_kind ON events (kind, record);
    CREATE INDEX objects_by_name ON objects (name);
    CREATE VIEW timeline AS
      SELECT record, time, principal, cause, ordinal, family, kind, object_kind, object_name, payload
      FROM records JOIN events USING (record) ORDER BY record, ordinal;
    CREATE VIEW living_objects AS SELECT kind, name, id, created FROM objects WHERE dropped IS NULL;
    CREATE VIEW activity AS
      SELECT substr(time, 1, 10) AS day, principal, kind, count(*) AS events
      FROM records JOIN events USING (record) GROUP BY day, principal, kind;
    CREATE VIEW object_history AS
      SELECT objects.kind AS object_kind, objects.name AS object_name, event_objects.id AS object_id, record, time,
        principal, events.kind, payload
      FROM event_objects JOIN objects USING (category, id) JOIN events USING (record, ordinal) JOIN records USING (record);
    """
}
