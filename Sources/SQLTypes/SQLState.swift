/// A five-character SQLSTATE (PostgreSQL 15 manual, appendix A). The two first characters are its class.
package struct SQLState: RawRepresentable, Hashable, Sendable {
  /// The five characters.
  package let rawValue: String

  /// A code from its five characters.
  package init(rawValue: String) { self.rawValue = rawValue }

  private init(_ code: String) { rawValue = code }

  /// 00000: successful completion.
  package static let successfulCompletion = SQLState("00000")
  /// 01000: warning.
  package static let warning = SQLState("01000")
  /// 02000: no data.
  package static let noData = SQLState("02000")
  /// 08000: connection exception.
  package static let connectionException = SQLState("08000")
  /// 08001: client unable to establish connection.
  package static let clientUnableToEstablishConnection = SQLState("08001")
  /// 08003: connection does not exist.
  package static let connectionDoesNotExist = SQLState("08003")
  /// 08004: server rejected connection.
  package static let serverRejectedConnection = SQLState("08004")
  /// 08006: connection failure.
  package static let connectionFailure = SQLState("08006")
  /// 08P01: protocol violation.
  package static let protocolViolation = SQLState("08P01")
  /// 0A000: feature not supported.
  package static let featureNotSupported = SQLState("0A000")
  /// 21000: cardinality violation.
  package static let cardinalityViolation = SQLState("21000")
  /// 22000: data exception.
  package static let dataException = SQLState("22000")
  /// 22001: string data right truncation.
  package static let stringDataRightTruncation = SQLState("22001")
  /// 22003: numeric value out of range.
  package static let numericValueOutOfRange = SQLState("22003")
  /// 22004: null value not allowed.
  package static let nullValueNotAllowed = SQLState("22004")
  /// 22007: invalid datetime format.
  package static let invalidDatetimeFormat = SQLState("22007")
  /// 22008: datetime field overflow.
  package static let datetimeFieldOverflow = SQLState("22008")
  /// 22009: invalid time zone displacement value.
  package static let invalidTimeZoneDisplacementValue = SQLState("22009")
  /// 22010: invalid indicator parameter value.
  package static let invalidIndicatorParameterValue = SQLState("22010")
  /// 22011: substring error.
  package static let substringError = SQLState("22011")
  /// 22012: division by zero.
  package static let divisionByZero = SQLState("22012")
  /// 22013: invalid preceding or following size.
  package static let invalidPrecedingOrFollowingSize = SQLState("22013")
  /// 22014: invalid argument for ntile.
  package static let invalidArgumentForNtile = SQLState("22014")
  /// 22015: interval field overflow.
  package static let intervalFieldOverflow = SQLState("22015")
  /// 22016: invalid argument for nth value.
  package static let invalidArgumentForNthValue = SQLState("22016")
  /// 22018: invalid character value for cast.
  package static let invalidCharacterValueForCast = SQLState("22018")
  /// 22019: invalid escape character.
  package static let invalidEscapeCharacter = SQLState("22019")
  /// 2201B: invalid regular expression.
  package static let invalidRegularExpression = SQLState("2201B")
  /// 2201E: invalid argument for logarithm.
  package static let invalidArgumentForLogarithm = SQLState("2201E")
  /// 2201F: invalid argument for power function.
  package static let invalidArgumentForPowerFunction = SQLState("2201F")
  /// 2201G: invalid argument for width bucket function.
  package static let invalidArgumentForWidthBucketFunction = SQLState("2201G")
  /// 2201W: invalid row count in limit clause.
  package static let invalidRowCountInLimitClause = SQLState("2201W")
  /// 2201X: invalid row count in result offset clause.
  package static let invalidRowCountInResultOffsetClause = SQLState("2201X")
  /// 22021: character not in repertoire.
  package static let characterNotInRepertoire = SQLState("22021")
  /// 22023: invalid parameter value.
  package static let invalidParameterValue = SQLState("22023")
  /// 22025: invalid escape sequence.
  package static let invalidEscapeSequence = SQLState("22025")
  /// 22026: string data length mismatch.
  package static let stringDataLengthMismatch = SQLState("22026")
  /// 2202E: array subscript error.
  package static let arraySubscriptError = SQLState("2202E")
  /// 2202G: invalid tablesample repeat.
  package static let invalidTablesampleRepeat = SQLState("2202G")
  /// 2202H: invalid tablesample argument.
  package static let invalidTablesampleArgument = SQLState("2202H")
  /// 22030: duplicate JSONObject key value.
  package static let duplicateJSONObjectKeyValue = SQLState("22030")
  /// 22032: invalid JSONText.
  package static let invalidJSONText = SQLState("22032")
  /// 22P01: floating point exception.
  package static let floatingPointException = SQLState("22P01")
  /// 22P02: invalid text representation.
  package static let invalidTextRepresentation = SQLState("22P02")
  /// 22P03: invalid binary representation.
  package static let invalidBinaryRepresentation = SQLState("22P03")
  /// 22P04: bad copy file format.
  package static let badCopyFileFormat = SQLState("22P04")
  /// 22P05: untranslatable character.
  package static let untranslatableCharacter = SQLState("22P05")
  /// 23000: integrity constraint violation.
  package static let integrityConstraintViolation = SQLState("23000")
  /// 23502: not null violation.
  package static let notNullViolation = SQLState("23502")
  /// 23503: foreign key violation.
  package static let foreignKeyViolation = SQLState("23503")
  /// 23505: unique violation.
  package static let uniqueViolation = SQLState("23505")
  /// 23514: check violation.
  package static let checkViolation = SQLState("23514")
  /// 23P01: exclusion violation.
  package static let exclusionViolation = SQLState("23P01")
  /// 24000: invalid cursor state.
  package static let invalidCursorState = SQLState("24000")
  /// 25000: invalid transaction state.
  package static let invalidTransactionState = SQLState("25000")
  /// 25001: active SQLTransaction.
  package static let activeSQLTransaction = SQLState("25001")
  /// 25006: read only SQLTransaction.
  package static let readOnlySQLTransaction = SQLState("25006")
  /// 25P01: no active SQLTransaction.
  package static let noActiveSQLTransaction = SQLState("25P01")
  /// 25P02: in failed SQLTransaction.
  package static let inFailedSQLTransaction = SQLState("25P02")
  /// 25P03: idle in transaction session timeout.
  package static let idleInTransactionSessionTimeout = SQLState("25P03")
  /// 26000: invalid SQLStatement name.
  package static let invalidSQLStatementName = SQLState("26000")
  /// 28000: invalid authorization specification.
  package static let invalidAuthorizationSpecification = SQLState("28000")
  /// 28P01: invalid password.
  package static let invalidPassword = SQLState("28P01")
  /// 2BP01: dependent objects still exist.
  package static let dependentObjectsStillExist = SQLState("2BP01")
  /// 2D000: invalid transaction termination.
  package static let invalidTransactionTermination = SQLState("2D000")
  /// 34000: invalid cursor name.
  package static let invalidCursorName = SQLState("34000")
  /// 3B001: invalid savepoint specification.
  package static let invalidSavepointSpecification = SQLState("3B001")
  /// 3D000: invalid catalog name.
  package static let invalidCatalogName = SQLState("3D000")
  /// 3F000: invalid schema name.
  package static let invalidSchemaName = SQLState("3F000")
  /// 40000: transaction rollback.
  package static let transactionRollback = SQLState("40000")
  /// 40001: serialization failure.
  package static let serializationFailure = SQLState("40001")
  /// 40003: statement completion unknown.
  package static let statementCompletionUnknown = SQLState("40003")
  /// 40P01: deadlock detected.
  package static let deadlockDetected = SQLState("40P01")
  /// 42501: insufficient privilege.
  package static let insufficientPrivilege = SQLState("42501")
  /// 42601: syntax error.
  package static let syntaxError = SQLState("42601")
  /// 42602: invalid name.
  package static let invalidName = SQLState("42602")
  /// 42611: invalid column definition.
  package static let invalidColumnDefinition = SQLState("42611")
  /// 42622: name too long.
  package static let nameTooLong = SQLState("42622")
  /// 42701: duplicate column.
  package static let duplicateColumn = SQLState("42701")
  /// 42702: ambiguous column.
  package static let ambiguousColumn = SQLState("42702")
  /// 42703: undefined column.
  package static let undefinedColumn = SQLState("42703")
  /// 42704: undefined object.
  package static let undefinedObject = SQLState("42704")
  /// 42710: duplicate object.
  package static let duplicateObject = SQLState("42710")
  /// 42712: duplicate alias.
  package static let duplicateAlias = SQLState("42712")
  /// 42723: duplicate function.
  package static let duplicateFunction = SQLState("42723")
  /// 42725: ambiguous function.
  package static let ambiguousFunction = SQLState("42725")
  /// 42803: grouping error.
  package static let groupingError = SQLState("42803")
  /// 42804: datatype mismatch.
  package static let datatypeMismatch = SQLState("42804")
  /// 42809: wrong object type.
  package static let wrongObjectType = SQLState("42809")
  /// 42830: invalid foreign key.
  package static let invalidForeignKey = SQLState("42830")
  /// 42846: cannot coerce.
  package static let cannotCoerce = SQLState("42846")
  /// 42883: undefined function.
  package static let undefinedFunction = SQLState("42883")
  /// 42939: reserved name.
  package static let reservedName = SQLState("42939")
  /// 428C9: generated always.
  package static let generatedAlways = SQLState("428C9")
  /// 42P01: undefined table.
  package static let undefinedTable = SQLState("42P01")
  /// 42P02: undefined parameter.
  package static let undefinedParameter = SQLState("42P02")
  /// 42P03: duplicate cursor.
  package static let duplicateCursor = SQLState("42P03")
  /// 42P04: duplicate database.
  package static let duplicateDatabase = SQLState("42P04")
  /// 42P05: duplicate prepared statement.
  package static let duplicatePreparedStatement = SQLState("42P05")
  /// 42P06: duplicate schema.
  package static let duplicateSchema = SQLState("42P06")
  /// 42P07: duplicate table.
  package static let duplicateTable = SQLState("42P07")
  /// 42P08: ambiguous parameter.
  package static let ambiguousParameter = SQLState("42P08")
  /// 42P09: ambiguous alias.
  package static let ambiguousAlias = SQLState("42P09")
  /// 42P10: invalid column reference.
  package static let invalidColumnReference = SQLState("42P10")
  /// 42P11: invalid cursor definition.
  package static let invalidCursorDefinition = SQLState("42P11")
  /// 42P12: invalid database definition.
  package static let invalidDatabaseDefinition = SQLState("42P12")
  /// 42P13: invalid function definition.
  package static let invalidFunctionDefinition = SQLState("42P13")
  /// 42P15: invalid schema definition.
  package static let invalidSchemaDefinition = SQLState("42P15")
  /// 42P16: invalid table definition.
  package static let invalidTableDefinition = SQLState("42P16")
  /// 42P17: invalid object definition.
  package static let invalidObjectDefinition = SQLState("42P17")
  /// 42P18: indeterminate datatype.
  package static let indeterminateDatatype = SQLState("42P18")
  /// 42P19: invalid recursion.
  package static let invalidRecursion = SQLState("42P19")
  /// 42P20: windowing error.
  package static let windowingError = SQLState("42P20")
  /// 42P21: collation mismatch.
  package static let collationMismatch = SQLState("42P21")
  /// 42P22: indeterminate collation.
  package static let indeterminateCollation = SQLState("42P22")
  /// 44000: with check option violation.
  package static let withCheckOptionViolation = SQLState("44000")
  /// 53000: insufficient resources.
  package static let insufficientResources = SQLState("53000")
  /// 53100: disk full.
  package static let diskFull = SQLState("53100")
  /// 53200: out of memory.
  package static let outOfMemory = SQLState("53200")
  /// 53300: too many connections.
  package static let tooManyConnections = SQLState("53300")
  /// 53400: configuration limit exceeded.
  package static let configurationLimitExceeded = SQLState("53400")
  /// 54000: program limit exceeded.
  package static let programLimitExceeded = SQLState("54000")
  /// 54001: statement too complex.
  package static let statementTooComplex = SQLState("54001")
  /// 54011: too many columns.
  package static let tooManyColumns = SQLState("54011")
  /// 54023: too many arguments.
  package static let tooManyArguments = SQLState("54023")
  /// 55000: object not in prerequisite state.
  package static let objectNotInPrerequisiteState = SQLState("55000")
  /// 55006: object in use.
  package static let objectInUse = SQLState("55006")
  /// 55P02: cant change runtime parameter.
  package static let cantChangeRuntimeParameter = SQLState("55P02")
  /// 55P03: lock not available.
  package static let lockNotAvailable = SQLState("55P03")
  /// 57000: operator intervention.
  package static let operatorIntervention = SQLState("57000")
  /// 57014: query canceled.
  package static let queryCanceled = SQLState("57014")
  /// 57P01: admin shutdown.
  package static let adminShutdown = SQLState("57P01")
  /// 57P02: crash shutdown.
  package static let crashShutdown = SQLState("57P02")
  /// 57P03: cannot connect now.
  package static let cannotConnectNow = SQLState("57P03")
  /// 57P04: database dropped.
  package static let databaseDropped = SQLState("57P04")
  /// 57P05: idle session timeout.
  package static let idleSessionTimeout = SQLState("57P05")
  /// 58000: system error.
  package static let systemError = SQLState("58000")
  /// 58030: io error.
  package static let ioError = SQLState("58030")
  /// 58P01: undefined file.
  package static let undefinedFile = SQLState("58P01")
  /// P0001: raise exception.
  package static let raiseException = SQLState("P0001")
  /// XX000: internal error.
  package static let internalError = SQLState("XX000")
  /// XX001: data corrupted.
  package static let dataCorrupted = SQLState("XX001")
  /// XX002: index corrupted.
  package static let indexCorrupted = SQLState("XX002")
}
