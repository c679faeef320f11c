import SQLTypes

extension MessageWriter {
  /// Writes a message.
  package mutating func append(_ message: BackendMessage) {
    switch message {
    case .encryptionAnswer(let accepted): append(accepted ? UInt8(ascii: "S") : UInt8(ascii: "N"))
    case .authenticationSASL(let mechanisms):
      appendMessage("R") {
        $0.append(Int32(10))
        for mechanism in mechanisms { $0.append(terminated: mechanism) }
        $0.append(UInt8(0))
      }
    case .authenticationSASLContinue(let data):
      appendMessage("R") {
        $0.append(Int32(11))
        $0.append(data)
      }
    case .authenticationSASLFinal(let data):
      appendMessage("R") {
        $0.append(Int32(12))
        $0.append(data)
      }
    case .authenticationOK: appendMessage("R") { $0.append(Int32(0)) }
    case .negotiateProtocolVersion(let newestMinor, let unknownOptions):
      appendMessage("v") {
        $0.append(newestMinor)
        $0.append(Int32(unknownOptions.count))
        for option in unknownOptions { $0.append(terminated: option) }
      }
    case .parameterStatus(let name, let value):
      appendMessage("S") {
        $0.append(terminated: name)
        $0.append(terminated: value)
      }
    case .backendKeyData(let processID, let secretKey):
      appendMessage("K") {
        $0.append(processID)
        $0.append(secretKey)
      }
    case .readyForQuery(let status): appendMessage("Z") { $0.append(status.rawValue) }
    default: appendCommandMessage(message)
    }
  }

  /// Messages that answer commands.
  private mutating func appendCommandMessage(_ message: BackendMessage) {
    switch message {
    case .rowDescription(let columns, let formats): appendRowDescription(columns, formats)
    case .parameterDescription(let types):
      appendMessage("t") {
        $0.append(Int16(truncatingIfNeeded: types.count))
        for type in types { $0.append(type) }
      }
    case .noData: appendMessage("n") { _ in }
    case .parseComplete: appendMessage("1") { _ in }
    case .bindComplete: appendMessage("2") { _ in }
    case .closeComplete: appendMessage("3") { _ in }
    case .portalSuspended: appendMessage("s") { _ in }
    case .commandComplete(let tag): appendMessage("C") { $0.append(terminated: tag) }
    case .emptyQueryResponse: appendMessage("I") { _ in }
    case .copyInResponse(let format, let columnCount): appendCopyResponse("G", format, columnCount)
    case .copyOutResponse(let format, let columnCount): appendCopyResponse("H", format, columnCount)
    case .copyDone: appendMessage("c") { _ in }
    case .errorResponse(let severity, let fields): appendReport("E", severity, fields)
    case .noticeResponse(let notice): appendReport("N", notice.severity, notice.fields)
    default: preconditionFailure("\(message) is written by append")
    }
  }

  private mutating func appendMessage(_ tag: Unicode.Scalar, _ body: (inout MessageWriter) -> Void) {
    let place = beginMessage(UInt8(ascii: tag))
    body(&self)
    endMessage(place)
  }

  private mutating func appendRowDescription(_ columns: [ResultColumn], _ formats: [FormatCode]) {
    appendMessage("T") {
      $0.append(Int16(truncatingIfNeeded: columns.count))
      for (index, column) in columns.enumerated() {
        $0.append(terminated: column.name)
        $0.append(column.tableOID)
        $0.append(column.columnNumber)
        $0.append(column.type.oid)
        $0.append(TypeTable.entry(oid: column.type.oid)?.lengthBytes ?? -1)
        $0.append(column.type.modifier)
        $0.append(formats.code(at: index).rawValue)
      }
    }
  }

  private mutating func appendCopyResponse(_ tag: Unicode.Scalar, _ format: FormatCode, _ columnCount: Int) {
    appendMessage(tag) {
      $0.append(UInt8(format.rawValue))
      $0.append(Int16(truncatingIfNeeded: columnCount))
      for _ in 0..<columnCount { $0.append(format.rawValue) }
    }
  }

  /// ErrorResponse and NoticeResponse (PostgreSQL 15 manual, 55.8).
  private mutating func appendReport(_ tag: Unicode.Scalar, _ severity: Severity, _ fields: SQLError) {
    appendMessage(tag) {
      $0.appendField("S", severity.rawValue)
      $0.appendField("V", severity.rawValue)
      $0.appendField("C", fields.sqlState.rawValue)
      $0.appendField("M", fields.message)
      $0.appendField("D", fields.detail)
      $0.appendField("H", fields.hint)
      $0.appendField("P", fields.position.map { String($0) })
      $0.appendField("W", fields.context)
      $0.appendField("s", fields.schema)
      $0.appendField("t", fields.table)
      $0.appendField("c", fields.column)
      $0.appendField("d", fields.dataType)
      $0.appendField("n", fields.constraint)
      $0.appendField("R", fields.routine)
      $0.append(UInt8(0))
    }
  }

  private mutating func appendField(_ code: Unicode.Scalar, _ text: String?) {
    guard let text else { return }
    append(UInt8(ascii: code))
    append(terminated: text)
  }
}

extension [FormatCode] {
  /// The format of one item: none given means text, one given stands for all.
  func code(at index: Int) -> FormatCode {
    switch count {
    case 0: .text
    case 1: self[0]
    default: self[index]
    }
  }
}
