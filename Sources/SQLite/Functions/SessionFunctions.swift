import Glibc
import SQLTypes

/// Functions that look at the session.
enum SessionFunctions {
  static let all: [ScalarFunction] = session + settings + types

  private static func session(
    _ name: String, isDeterministic: Bool = true, _ body: @escaping @Sendable (SessionContext) -> StoredValue
  ) -> ScalarFunction {
    ScalarFunction("pg_\(name)", 0, isDeterministic: isDeterministic) { _, context throws(SQLError) in body(context) }
  }

  private static let session: [ScalarFunction] = [
    session("current_user") { .text($0.user) },
    session("session_user") { .text($0.sessionUser) },
    session("current_database") { .text($0.database) },
    session("current_schema") { .optional($0.searchPath.first) },
    session("version") { .text($0.version) },
    session("backend_pid") { .integer(Int64($0.backendProcessID)) },
    session("txid_current") { .integer($0.transactionID) },
    session("gen_random_uuid", isDeterministic: false) { _ in .blob(randomUUID()) },
    ScalarFunction("pg_current_schemas", 1) { a, context throws(SQLError) in
      let implicit = a.integer(0) != 0 && !context.searchPath.contains("pg_catalog") ? ["pg_catalog"] : []
      return .text(ArrayText.text(implicit + context.searchPath))
    },
    ScalarFunction("pg_sleep", 1, isDeterministic: false) { a, _ throws(SQLError) in
      throw SQLError(.featureNotSupported, "pg_sleep is not supported inside a larger query")
    },
  ]

  /// A version 4 UUID (RFC 4122).
  static func randomUUID() -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    var bytes: [UInt8] = []
    for _ in 0..<2 { withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) } }
    bytes[6] = bytes[6] & 0x0f | 0x40
    bytes[8] = bytes[8] & 0x3f | 0x80
    return bytes
  }

  private static let settings: [ScalarFunction] = [
    ScalarFunction("pg_current_setting", -1, isDeterministic: false) { a, context throws(SQLError) in
      let name = a.text(0)
      if let value = setting(name, context) { return .text(value) }
      if a.count > 1, a.integer(1) != 0 { return .null }
      throw SQLError(.undefinedObject, "unrecognized configuration parameter \"\(name)\"")
    },
    ScalarFunction("pg_set_config", 3, isStrict: false, isDeterministic: false) { a, context throws(SQLError) in
      if a.isNull(0) { throw SQLError(.nullValueNotAllowed, "SET requires parameter name") }
      let value = a.isNull(1) ? "" : a.text(1)
      do {
        if let onSetConfig = context.onSetConfig {
          try onSetConfig(a.text(0), value, a.integer(2) != 0)
        } else {
          context.settings[a.text(0).lowercased()] = value
        }
      } catch let error as SQLError {
        throw error
      } catch {
        throw SQLError(.internalError, "\(error)")
      }
      return .text(setting(a.text(0), context) ?? value)
    },
  ]

  private static func setting(_ name: String, _ context: SessionContext) -> String? {
    switch name.lowercased() {
    case "timezone": return context.conversion.timeZone.name
    case "datestyle": return "ISO, \(context.conversion.dateOrder.rawValue)"
    case "search_path": return context.settings["search_path"] ?? context.searchPath.joined(separator: ", ")
    case let key: return context.settings[key]
    }
  }

  private static let types: [ScalarFunction] = [
    ScalarFunction("pg_typeof", 2, isStrict: false) { a, _ throws(SQLError) in a[0] },
    ScalarFunction("pg_format_type", 2, isStrict: false) { a, _ throws(SQLError) in
      if a.isNull(0) { return .null }
      let modifier = a.isNull(1) ? -1 : Int32(truncatingIfNeeded: a.integer(1))
      let oid = UInt32(truncatingIfNeeded: a.integer(0))
      return .text(oid == 0 ? "-" : SQLType(oid: oid, modifier: modifier).displayName)
    },
    ScalarFunction("pg_num_nulls", -1, isStrict: false) { a, _ throws(SQLError) in
      .int((0..<a.count).filter { a.isNull($0) }.count)
    },
    ScalarFunction("pg_num_nonnulls", -1, isStrict: false) { a, _ throws(SQLError) in
      .int((0..<a.count).filter { !a.isNull($0) }.count)
    },
    ScalarFunction("pg_column_size", 2) { a, _ throws(SQLError) in
      let type = a.type(0)
      if type.lengthBytes > 0 { return .integer(Int64(type.lengthBytes)) }
      switch a[1] {
      case .text(let text): return .int(text.utf8.count + 4)
      case .blob(let bytes): return .int(bytes.count + 4)
      default: return .integer(8)
      }
    },
  ]
}
