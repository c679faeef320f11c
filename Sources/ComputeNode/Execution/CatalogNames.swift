import Metadata
import SQLPlan
import SQLTypes

/// Names and oids of `regclass` and its like, as the text forms of values need them.
struct CatalogNames: Sendable {
  let image: Image
  let session: SessionInfo

  /// The conversion context of a session.
  func conversion(transactionTimeMicroseconds: Int64) -> ConversionContext {
    var context = ConversionContext(transactionTimestamp: transactionTimeMicroseconds)
    context.findTimeZone = { TimeZones.found($0) }
    context.timeZone = context.zone(named: session.timeZone) ?? .utc
    context.findObject = { (type, name) throws(SQLError) in try find(type, name) }
    context.nameObject = { type, oid in name(type, oid) }
    return context
  }

  private var searchPath: [String] {
    let path = session.searchPath.map { $0 == "$user" ? session.user : $0 }
    return path.contains("pg_catalog") ? path : ["pg_catalog"] + path
  }

  private func relationOID(_ name: String, schema: String) -> UInt32? {
    if let system = SystemCatalog.relation(schema: schema, name: name) { return system.oid }
    guard let schema = image.schema(named: schema) else { return nil }
    return image.relationNames[RelationKey(schemaID: schema.id, name: name)]?.rawValue
  }

  private func find(_ type: SQLType, _ text: String) throws(SQLError) -> UInt32 {
    if let oid = UInt32(text) { return oid }
    switch type.oid {
    case SQLType.regclass.oid:
      let parts = try RelationNames.parts(text)
      let name = parts[parts.count - 1]
      let schemas = parts.count > 1 ? [parts[parts.count - 2]] : searchPath
      for schema in schemas {
        if let oid = relationOID(name, schema: schema) { return oid }
      }
      throw SQLError(.undefinedTable, "relation \"\(parts.joined(separator: "."))\" does not exist")
    case SQLType.regnamespace.oid:
      let name = try RelationNames.parts(text).last ?? ""
      if let schema = image.schema(named: name) { return schema.id.rawValue }
      throw SQLError(.undefinedObject, "schema \"\(name)\" does not exist")
    case SQLType.regrole.oid:
      let name = try RelationNames.parts(text).last ?? ""
      if let role = image.role(named: name) { return role.id.rawValue }
      throw SQLError(.undefinedObject, "role \"\(name)\" does not exist")
    default: return try ConversionContext.noObject(type, text)
    }
  }

  private func name(_ type: SQLType, _ oid: UInt32) -> String? {
    let id = ObjectID(rawValue: oid)
    switch type.oid {
    case SQLType.regclass.oid:
      guard let (schema, name) = relationName(id) else { return nil }
      let visible = searchPath.lazy.compactMap { relationOID(name, schema: $0) }.first == oid
      return visible ? Self.quoted(name) : Self.quoted(schema) + "." + Self.quoted(name)
    case SQLType.regnamespace.oid: return image.schemas[id].map { Self.quoted($0.name) }
    case SQLType.regrole.oid: return image.roles[id].map { Self.quoted($0.name) }
    default: return ConversionContext.typeName(type, oid)
    }
  }

  private func relationName(_ id: ObjectID) -> (schema: String, name: String)? {
    let schemaID: ObjectID
    let name: String
    switch image.relation(id) {
    case .table(let table): (schemaID, name) = (table.schemaID, table.name)
    case .index(let index): (schemaID, name) = (index.schemaID, index.name)
    case .sequence(let sequence): (schemaID, name) = (sequence.schemaID, sequence.name)
    case .view(let view): (schemaID, name) = (view.schemaID, view.name)
    case nil:
      return SystemCatalog.relation(oid: id.rawValue).map { ($0.schema, $0.name) }
    }
    return (image.schemas[schemaID]?.name ?? "", name)
  }

  /// In quotes unless it is plain lower case.
  private static func quoted(_ name: String) -> String {
    let isPlain =
      !name.isEmpty
      && name.utf8.enumerated().allSatisfy { index, byte in
        (97...122).contains(byte) || byte == 95 || index > 0 && (48...57).contains(byte)
      }
    if isPlain { return name }
    return "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}
