import Metadata
import SQLTypes

/// A relation of `pg_catalog` or `information_schema`: rows computed from the image, as stored values in column order.
package struct VirtualRelation: Sendable {
  package struct Column: Sendable, Hashable {
    package var name: String
    package var type: SQLType
    package init(_ name: String, _ type: SQLType) {
      self.name = name
      self.type = type
    }
  }
  package var schema: String
  package var name: String
  /// What `pg_class.oid` shows; below `ObjectID.firstUser`.
  package var oid: UInt32
  package var columns: [Column]
  /// Of these columns, by place.
  package var rows: @Sendable (Image, SessionInfo, [Int]) -> [[StoredValue]]
  package init(
    schema: String, name: String, oid: UInt32, columns: [Column],
    rows: @escaping @Sendable (Image, SessionInfo, [Int]) -> [[StoredValue]]
  ) {
    self.schema = schema
    self.name = name
    self.oid = oid
    self.columns = columns
    self.rows = rows
  }
}

/// What analysis and the system catalog need to know of a session.
package struct SessionInfo: Sendable, Hashable {
  package var user: String
  package var database: String
  /// Schemas by name, as `SET search_path` gives them; `"$user"` stands for the user's own. `pg_catalog` comes first by itself.
  package var searchPath: [String]
  package var processID: Int32
  /// The session's zone, as `SET timezone` gives it.
  package var timeZone: String
  /// Settings by lower-case name, for `pg_settings` and `current_setting`.
  package var settings: [String: String]
  package init(
    user: String, database: String, searchPath: [String] = ["$user", "public"], processID: Int32 = 0,
    timeZone: String = "UTC", settings: [String: String] = [:]
  ) {
    self.user = user
    self.database = database
    self.searchPath = searchPath
    self.processID = processID
    self.timeZone = timeZone
    self.settings = settings
  }
}
