import SQLTypes

/// The client's commands.
extension SessionMachine {
  mutating func receiveQuery(_ sql: String) -> Step {
    // A simple query ends the unnamed statement and the unnamed portal.
    let dropped = releasePortal("") + releaseStatement("")
    state = .splitting
    return Step(effect: .split(sql), dropped: dropped)
  }

  mutating func receiveParse(_ message: ParseMessage) -> Step {
    if !message.name.isEmpty {
      guard statements[message.name] == nil else {
        return failPipeline(
          SQLError(
            .duplicatePreparedStatement, "prepared statement \"\(message.name)\" already exists"))
      }
      guard statements.count < limits.statements else {
        return failPipeline(
          SQLError(
            .programLimitExceeded, "too many prepared statements in this session",
            detail: "The limit is \(limits.statements).", hint: "Close or DEALLOCATE some of them."))
      }
    }
    // The unnamed statement goes even where its successor turns out to be wrong.
    let replaced = message.name.isEmpty ? releaseStatement("") : []
    let id = takeID()
    state = .parsing(name: message.name, id: id, declaredTypes: message.parameterTypes)
    return Step(
      effect: .parse(id: id, sql: message.sql, parameterTypes: message.parameterTypes),
      dropped: replaced)
  }

  /// The statement has been understood.
  package mutating func parsed(parameterTypes: [SQLType], columns: [ResultColumn]?) -> Step {
    guard case .parsing(let name, let id, _) = state else { preconditionFailure("Parse is not under way") }
    statements[name] = Statement(id: id, parameterTypes: parameterTypes, columns: columns)
    state = .ready
    return Step(replies: [.parseComplete], effect: .awaitMessage)
  }

  mutating func receiveBind(_ message: BindMessage) -> Step {
    guard let statement = statements[message.statement] else {
      return failPipeline(Self.unknownStatement(message.statement))
    }
    guard message.portal.isEmpty || portals[message.portal] == nil else {
      return failPipeline(SQLError(.duplicateCursor, "cursor \"\(message.portal)\" already exists"))
    }
    guard portals.count < limits.portals else {
      return failPipeline(
        SQLError(
          .programLimitExceeded, "too many portals in this session", detail: "The limit is \(limits.portals)."))
    }
    do throws(SQLError) {
      let parameters = try decodeParameters(message, of: statement)
      let columnCount = statement.columns?.count ?? 0
      if message.resultFormats.count > 1, message.resultFormats.count != columnCount {
        throw SQLError(
          .protocolViolation,
          "bind message has \(message.resultFormats.count) result formats but query has \(columnCount) columns")
      }
      let replaced = releasePortal(message.portal)
      portals[message.portal] = Portal(
        id: takeID(), statement: statement, parameters: parameters, resultFormats: message.resultFormats)
      return Step(
        replies: [.bindComplete], effect: .awaitMessage, dropped: replaced)
    } catch {
      return failPipeline(error)
    }
  }

  mutating func receiveDescribe(_ object: PreparedObject) -> Step {
    switch object {
    case .statement(let name):
      guard let statement = statements[name] else { return failPipeline(Self.unknownStatement(name)) }
      let rows = statement.columns.map { BackendMessage.rowDescription($0, formats: []) } ?? .noData
      return Step(
        replies: [.parameterDescription(statement.parameterTypes.map(\.oid)), rows], effect: .awaitMessage)
    case .portal(let name):
      guard let portal = portals[name] else { return failPipeline(Self.unknownPortal(name)) }
      let rows = portal.statement.columns.map {
        BackendMessage.rowDescription($0, formats: portal.resultFormats)
      }
      return Step(replies: [rows ?? .noData], effect: .awaitMessage)
    }
  }

  mutating func receiveExecute(_ name: String, _ rowLimit: Int) -> Step {
    guard let portal = portals[name] else { return failPipeline(Self.unknownPortal(name)) }
    switch portal.progress {
    case .new:
      state = .executing(portal: name)
      return Step(
        effect: .execute(
          ExecuteRequest(
            portal: portal.id, statement: portal.statement.id, parameters: portal.parameters,
            resultFormats: portal.resultFormats, rowLimit: rowLimit)))
    case .suspended where status == .failed:
      return failPipeline(
        SQLError(
          .inFailedSQLTransaction,
          "current transaction is aborted, commands ignored until end of transaction block"))
    case .suspended:
      state = .executing(portal: name)
      return Step(effect: .resume(portal: portal.id, rowLimit: rowLimit))
    case .exhausted(let tag): return Step(replies: [.commandComplete(tag: tag)], effect: .awaitMessage)
    case .done:
      return failPipeline(SQLError(.objectNotInPrerequisiteState, "portal \"\(name)\" cannot be run"))
    }
  }

  mutating func receiveClose(_ object: PreparedObject) -> Step {
    // What does not exist is closed already.
    let dropped =
      switch object {
      case .statement(let name): releaseStatement(name)
      case .portal(let name): releasePortal(name)
      }
    return Step(replies: [.closeComplete], effect: .awaitMessage, dropped: dropped)
  }

  private func decodeParameters(
    _ message: BindMessage, of statement: Statement
  ) throws(SQLError) -> [StoredValue] {
    let types = statement.parameterTypes
    guard message.parameters.count == types.count else {
      throw SQLError(
        .protocolViolation,
        "bind message supplies \(message.parameters.count) parameters, but prepared statement "
          + "\"\(message.statement)\" requires \(types.count)")
    }
    var values: [StoredValue] = []
    values.reserveCapacity(types.count)
    for (index, type) in types.enumerated() {
      guard let bytes = message.parameters[index] else {
        values.append(.null)
        continue
      }
      do {
        values.append(
          try WireValue.decode(
            bytes, as: type, format: message.parameterFormats.code(at: index),
            conversionContext))
      } catch {
        // Which one is wrong is more than the type itself can say.
        var error = error
        if error.sqlState == .invalidBinaryRepresentation, error.message == "incorrect binary data format" {
          error.message += " in bind parameter \(index + 1)"
        }
        throw error
      }
    }
    return values
  }

  private static func unknownStatement(_ name: String) -> SQLError {
    SQLError(
      .invalidSQLStatementName,
      name.isEmpty ? "unnamed prepared statement does not exist" : "prepared statement \"\(name)\" does not exist")
  }

  private static func unknownPortal(_ name: String) -> SQLError {
    SQLError(.invalidCursorName, "portal \"\(name)\" does not exist")
  }
}
