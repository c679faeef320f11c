import SQLTypes

/// What a client sends after the start of the session (PostgreSQL 15 manual, 55.7, the messages marked F).
package enum FrontendMessage: Sendable, Equatable {
  /// `Q`: a simple query of any number of statements.
  case query(String)
  /// `P`: prepares a statement.
  case parse(ParseMessage)
  /// `B`: makes a portal of a statement and its parameters.
  case bind(BindMessage)
  /// `D`: asks for the shape of a statement or portal.
  case describe(PreparedObject)
  /// `E`: runs a portal, at most so many rows (0 = all).
  case execute(portal: String, rowLimit: Int)
  /// `C`: forgets a statement or portal.
  case close(PreparedObject)
  /// `H`: send what is pending.
  case flush
  /// `S`: the end of a pipeline; after an error, where it goes on.
  case sync
  /// `F`: the old function call, which is refused.
  case functionCall
  /// `d`: bytes of COPY.
  case copyData([UInt8])
  /// `c`: the end of COPY's data.
  case copyDone
  /// `f`: the client gives COPY up and says why.
  case copyFail(String)
  /// `p`: an answer to an authentication request; its bytes mean what the request made of them.
  case authenticationResponse([UInt8])
  /// `X`: goodbye.
  case terminate
  /// A message that is framed well but whose content is not; the session survives it.
  case malformed(tag: UInt8, SQLError)
}

/// The first packet of a connection (PostgreSQL 15 manual, 55.2.1).
package enum StartupPacket: Sendable, Equatable {
  /// Protocol version (major << 16 | minor) and settings in the client's order.
  case startup(version: UInt32, parameters: [StartupParameter])
  /// Asks for TLS.
  case tlsRequest
  /// Asks for GSSAPI encryption.
  case gssEncryptionRequest
  /// Asks to cancel what another session runs.
  case cancelRequest(processID: Int32, secretKey: Int32)
}

/// One setting of the startup packet.
package struct StartupParameter: Sendable, Equatable {
  /// `user`, `database`, `application_name`, …
  package let name: String
  /// The value as the client wrote it.
  package let value: String

  /// A name and its value.
  package init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// Parse: a statement under a name (empty: the unnamed one).
package struct ParseMessage: Sendable, Equatable {
  /// The statement's name.
  package let name: String
  /// One statement.
  package let sql: String
  /// Type oids of the parameters as far as the client gives them; 0 = to be inferred.
  package let parameterTypes: [UInt32]

  /// A statement to prepare.
  package init(name: String, sql: String, parameterTypes: [UInt32] = []) {
    self.name = name
    self.sql = sql
    self.parameterTypes = parameterTypes
  }
}

/// Bind: a portal of a statement with values for its parameters.
package struct BindMessage: Sendable, Equatable {
  /// The portal's name (empty: the unnamed one).
  package let portal: String
  /// The statement's name.
  package let statement: String
  /// None: all text; one: for all; else one per parameter.
  package let parameterFormats: [FormatCode]
  /// The parameters' bytes.
  package let parameters: ParameterBytes
  /// None: all text; one: for all; else one per column.
  package let resultFormats: [FormatCode]

  /// A portal to make.
  package init(
    portal: String = "", statement: String = "", parameterFormats: [FormatCode] = [],
    parameters: ParameterBytes = ParameterBytes([]), resultFormats: [FormatCode] = []
  ) {
    self.portal = portal
    self.statement = statement
    self.parameterFormats = parameterFormats
    self.parameters = parameters
    self.resultFormats = resultFormats
  }
}

/// The values of a Bind, as ranges of one buffer: no allocation per value.
package struct ParameterBytes: Sendable, Equatable {
  private let bytes: [UInt8]
  private let ranges: [Range<Int>?]

  /// Values as ranges of a buffer; nil is NULL.
  init(bytes: [UInt8], ranges: [Range<Int>?]) {
    self.bytes = bytes
    self.ranges = ranges
  }

  /// Values one by one; nil is NULL.
  package init(_ values: [[UInt8]?]) {
    var bytes: [UInt8] = []
    var ranges: [Range<Int>?] = []
    for value in values {
      guard let value else {
        ranges.append(nil)
        continue
      }
      ranges.append(bytes.count..<bytes.count + value.count)
      bytes += value
    }
    self.init(bytes: bytes, ranges: ranges)
  }

  /// Number of values.
  package var count: Int { ranges.count }

  /// The bytes of one value, nil for NULL.
  package subscript(index: Int) -> ArraySlice<UInt8>? { ranges[index].map { bytes[$0] } }

  /// Same values, wherever they lie in their buffers.
  package static func == (left: ParameterBytes, right: ParameterBytes) -> Bool {
    left.count == right.count && left.ranges.indices.allSatisfy { left[$0] == right[$0] }
  }
}

/// What Describe and Close name.
package enum PreparedObject: Sendable, Equatable {
  /// `S`: a prepared statement.
  case statement(String)
  /// `P`: a portal.
  case portal(String)
}
