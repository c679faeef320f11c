import SQLTypes

extension FrontendMessage {
  /// The first byte of each message.
  enum Tag {
    static let bind = UInt8(ascii: "B")
    static let close = UInt8(ascii: "C")
    static let describe = UInt8(ascii: "D")
    static let execute = UInt8(ascii: "E")
    static let functionCall = UInt8(ascii: "F")
    static let flush = UInt8(ascii: "H")
    static let parse = UInt8(ascii: "P")
    static let query = UInt8(ascii: "Q")
    static let sync = UInt8(ascii: "S")
    static let terminate = UInt8(ascii: "X")
    static let copyDone = UInt8(ascii: "c")
    static let copyData = UInt8(ascii: "d")
    static let copyFail = UInt8(ascii: "f")
    static let authenticationResponse = UInt8(ascii: "p")
  }

  /// Whether a byte starts a message that a client may send.
  static func isTag(_ byte: UInt8) -> Bool {
    switch byte {
    case Tag.bind, Tag.close, Tag.describe, Tag.execute, Tag.functionCall, Tag.flush, Tag.parse, Tag.query,
      Tag.sync, Tag.terminate, Tag.copyDone, Tag.copyData, Tag.copyFail, Tag.authenticationResponse:
      true
    default: false
    }
  }

  /// Whether the message holds only names and numbers.
  static func isSmall(_ tag: UInt8) -> Bool {
    switch tag {
    case Tag.close, Tag.describe, Tag.execute, Tag.flush, Tag.sync, Tag.terminate, Tag.copyDone, Tag.copyFail: true
    default: false
    }
  }

  /// Reads the body of a tagged message.
  init(tag: UInt8, _ reader: inout MessageReader) throws(SQLError) {
    switch tag {
    case Tag.query: self = .query(try reader.readString())
    case Tag.parse: self = .parse(try ParseMessage(&reader))
    case Tag.bind: self = .bind(try BindMessage(&reader))
    case Tag.describe: self = .describe(try PreparedObject(&reader, of: "DESCRIBE"))
    case Tag.close: self = .close(try PreparedObject(&reader, of: "CLOSE"))
    case Tag.execute:
      let portal = try reader.readString()
      // A negative limit means all, as in PostgreSQL.
      self = .execute(portal: portal, rowLimit: max(0, Int(try reader.readInt32())))
    case Tag.flush: self = .flush
    case Tag.sync: self = .sync
    case Tag.terminate: self = .terminate
    case Tag.copyData: self = .copyData(reader.readRest())
    case Tag.copyDone: self = .copyDone
    case Tag.copyFail: self = .copyFail(try reader.readString())
    case Tag.authenticationResponse: self = .authenticationResponse(reader.readRest())
    case Tag.functionCall:
      _ = reader.readRest()
      self = .functionCall
    default: throw SQLError(.protocolViolation, "invalid frontend message type \(tag)")
    }
    try reader.expectEnd()
  }
}

extension ParseMessage {
  /// Reads Parse's body.
  init(_ reader: inout MessageReader) throws(SQLError) {
    let name = try reader.readString()
    let sql = try reader.readString()
    let count = try reader.readCount(itemBytes: 4)
    var types: [UInt32] = []
    types.reserveCapacity(count)
    for _ in 0..<count { types.append(try reader.readUInt32()) }
    self.init(name: name, sql: sql, parameterTypes: types)
  }
}

extension BindMessage {
  /// Reads Bind's body.
  init(_ reader: inout MessageReader) throws(SQLError) {
    let portal = try reader.readString()
    let statement = try reader.readString()
    let parameterFormats = try Self.readFormats(&reader)
    let count = try reader.readCount(itemBytes: 4)
    if parameterFormats.count > 1, parameterFormats.count != count {
      throw SQLError(
        .protocolViolation,
        "bind message has \(parameterFormats.count) parameter formats but \(count) parameters")
    }
    let parameters = try Self.readParameters(&reader, count: count)
    let resultFormats = try Self.readFormats(&reader)
    self.init(
      portal: portal, statement: statement, parameterFormats: parameterFormats, parameters: parameters,
      resultFormats: resultFormats)
  }

  private static func readFormats(_ reader: inout MessageReader) throws(SQLError) -> [FormatCode] {
    let count = try reader.readCount(itemBytes: 2)
    var formats: [FormatCode] = []
    formats.reserveCapacity(count)
    for _ in 0..<count {
      let code = try reader.readInt16()
      guard let format = FormatCode(rawValue: code) else {
        throw SQLError(.invalidParameterValue, "unsupported format code: \(code)")
      }
      formats.append(format)
    }
    return formats
  }

  private static func readParameters(
    _ reader: inout MessageReader, count: Int
  ) throws(SQLError) -> ParameterBytes {
    var ranges: [Range<Int>?] = []
    ranges.reserveCapacity(count)
    var copy = reader
    let start = reader.offset
    for _ in 0..<count {
      let length = try reader.readInt32()
      if length == -1 {
        ranges.append(nil)
      } else {
        let range = try reader.readRange(count: Int(length))
        ranges.append(range.lowerBound - start..<range.upperBound - start)
      }
    }
    // One copy of the whole stretch, the lengths between the values included.
    let bytes = copy.readBytes(count: reader.offset - start)
    return ParameterBytes(bytes: bytes, ranges: ranges)
  }
}

extension PreparedObject {
  /// Reads the kind and name of Describe's or Close's target.
  init(_ reader: inout MessageReader, of message: String) throws(SQLError) {
    let kind = try reader.readByte()
    let name = try reader.readString()
    switch kind {
    case UInt8(ascii: "S"): self = .statement(name)
    case UInt8(ascii: "P"): self = .portal(name)
    default: throw SQLError(.protocolViolation, "invalid \(message) message subtype \(kind)")
    }
  }
}

extension StartupPacket {
  private static let cancelCode: UInt32 = 80_877_102
  private static let tlsCode: UInt32 = 80_877_103
  private static let gssEncryptionCode: UInt32 = 80_877_104

  /// Reads a startup packet's body.
  init(_ reader: inout MessageReader) throws(SQLError) {
    let version = try reader.readUInt32()
    switch version {
    case Self.cancelCode:
      let processID = try reader.readInt32()
      self = .cancelRequest(processID: processID, secretKey: try reader.readInt32())
    case Self.tlsCode: self = .tlsRequest
    case Self.gssEncryptionCode: self = .gssEncryptionRequest
    default:
      // What follows another major version cannot be read; the machine refuses it by its version.
      guard version >> 16 == 3 else {
        self = .startup(version: version, parameters: [])
        return
      }
      self = .startup(version: version, parameters: try Self.readParameters(&reader))
    }
  }

  private static func readParameters(_ reader: inout MessageReader) throws(SQLError) -> [StartupParameter] {
    let layout = SQLError(
      .protocolViolation, "invalid startup packet layout: expected terminator as last byte")
    var parameters: [StartupParameter] = []
    while true {
      guard reader.remainingCount > 0 else { throw layout }
      let name = try reader.readString()
      if name.isEmpty { break }
      guard reader.remainingCount > 0 else { throw layout }
      parameters.append(StartupParameter(name: name, value: try reader.readString()))
    }
    guard reader.remainingCount == 0 else { throw layout }
    return parameters
  }
}
