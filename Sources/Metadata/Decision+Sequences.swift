import SQLTypes

extension Decision {
  mutating func createSequence(_ draft: SequenceDraft) throws(Rejection) {
    try checkNewRelation(draft.name, in: draft.schemaID)
    try checkRole(draft.ownerID)
    var sequence = SequenceDefinition(
      id: nextID, schemaID: draft.schemaID, name: draft.name, ownerID: draft.ownerID, type: .int8, start: 1,
      increment: 1, minimum: 1, maximum: .max)
    try apply(draft.options, to: &sequence, isNew: true)
    emit(.sequenceCreated(sequence))
  }

  mutating func alterSequence(_ id: ObjectID, _ options: SequenceOptions) throws(Rejection) {
    var sequence = try sequence(id)
    let old = sequence
    if options.owner != nil, let table = sequence.ownerTableID.flatMap({ image.tables[$0] }),
      table.columns.contains(where: { $0.sequenceID == id && $0.identity != nil })
    {
      throw Rejection(
        .featureNotSupported, "cannot change ownership of identity sequence",
        detail: "Sequence \"\(sequence.name)\" is linked to table \"\(table.name)\".")
    }
    try apply(options, to: &sequence, isNew: false)
    if sequence != old { emit(.sequenceAltered(sequence)) }
  }

  mutating func reserveSequence(_ id: ObjectID, _ count: Int64) throws(Rejection) {
    let sequence = try sequence(id)
    guard count > 0 else { throw Rejection(.invalidParameterValue, "cannot reserve \(count) values") }
    let isAscending = sequence.increment > 0
    var first = sequence.resumesAt
    if let last = sequence.lastReserved {
      let (next, isOverflow) = last.addingReportingOverflow(sequence.increment)
      first = next
      if isOverflow || next > sequence.maximum || next < sequence.minimum {
        guard sequence.isCycle else {
          let (word, limit) =
            isAscending ? ("maximum", sequence.maximum) : ("minimum", sequence.minimum)
          throw Rejection(
            .sequenceGeneratorLimitExceeded,
            "nextval: reached \(word) value of sequence \"\(sequence.name)\" (\(limit))")
        }
        first = isAscending ? sequence.minimum : sequence.maximum
      }
    }
    // Distances as unsigned numbers: from the smallest to the largest int8 they still fit.
    let room =
      isAscending
      ? UInt64(bitPattern: sequence.maximum &- first) : UInt64(bitPattern: first &- sequence.minimum)
    let steps = min(UInt64(count - 1), room / sequence.increment.magnitude)
    let last = first &+ Int64(bitPattern: steps) &* sequence.increment
    emit(.sequenceReserved(id, first: first, last: last, count: Int64(steps) + 1))
  }

  mutating func setSequenceValue(_ id: ObjectID, _ value: Int64, _ isCalled: Bool) throws(Rejection) {
    let sequence = try sequence(id)
    guard (sequence.minimum...sequence.maximum).contains(value) else {
      throw Rejection(
        .numericValueOutOfRange,
        "setval: value \(value) is out of bounds for sequence \"\(sequence.name)\" "
          + "(\(sequence.minimum)..\(sequence.maximum))")
    }
    emit(
      .sequenceValueSet(
        id, last: isCalled ? value : nil, resumesAt: isCalled ? sequence.resumesAt : value))
  }

  func sequence(_ id: ObjectID) throws(Rejection) -> SequenceDefinition {
    if let sequence = image.sequences[id] { return sequence }
    if let relation = image.relation(id) {
      throw Rejection(.wrongObjectType, "\"\(relation.name)\" is not a sequence")
    }
    throw Rejection(.undefinedTable, "relation with OID \(id) does not exist")
  }

  /// Sets what the options say, defaults for a new one (`init_params` in PostgreSQL's sequence.c, whose messages these are).
  func apply(
    _ options: SequenceOptions, to sequence: inout SequenceDefinition, isNew: Bool
  ) throws(Rejection) {
    if let type = options.type {
      guard let limits = Decision.limits[type.oid] else {
        throw Rejection(.invalidParameterValue, "sequence type must be smallint, integer, or bigint")
      }
      // ALTER SEQUENCE AS keeps limits that were set and follows the type with those that were its own.
      let old = Decision.limits[sequence.type.oid] ?? limits
      if sequence.increment > 0, sequence.maximum == old.upperBound { sequence.maximum = limits.upperBound }
      if sequence.increment < 0, sequence.minimum == old.lowerBound { sequence.minimum = limits.lowerBound }
      sequence.type = type.base
    }
    if let increment = options.increment {
      guard increment != 0 else { throw Rejection(.invalidParameterValue, "INCREMENT must not be zero") }
      sequence.increment = increment
    }
    try applyLimits(options, to: &sequence, isNew: isNew)
    if let start = options.start {
      sequence.start = start
    } else if isNew {
      sequence.start = sequence.increment > 0 ? sequence.minimum : sequence.maximum
    }
    try checkInside(sequence.start, "START", sequence)
    if isNew { sequence.resumesAt = sequence.start }
    switch options.restart {
    case .atStart: (sequence.lastReserved, sequence.resumesAt) = (nil, sequence.start)
    case .at(let value): (sequence.lastReserved, sequence.resumesAt) = (nil, value)
    case nil: break
    }
    try checkInside(sequence.lastReserved ?? sequence.resumesAt, "RESTART", sequence)
    if let cache = options.cache {
      guard cache > 0 else {
        throw Rejection(.invalidParameterValue, "CACHE (\(cache)) must be greater than zero")
      }
      sequence.cache = cache
    }
    if let isCycle = options.isCycle { sequence.isCycle = isCycle }
    if let owner = options.owner { try applyOwner(owner, to: &sequence) }
  }

  private static let limits: [UInt32: ClosedRange<Int64>] = [
    SQLType.int2.oid: Int64(Int16.min)...Int64(Int16.max),
    SQLType.int4.oid: Int64(Int32.min)...Int64(Int32.max),
    SQLType.int8.oid: Int64.min...Int64.max,
  ]

  private func applyLimits(
    _ options: SequenceOptions, to sequence: inout SequenceDefinition, isNew: Bool
  ) throws(Rejection) {
    let limits = Decision.limits[sequence.type.oid] ?? Int64.min...Int64.max
    let isAscending = sequence.increment > 0
    switch options.maximum {
    case .value(let value): sequence.maximum = value
    case .standard: sequence.maximum = isAscending ? limits.upperBound : -1
    case nil: if isNew { sequence.maximum = isAscending ? limits.upperBound : -1 }
    }
    switch options.minimum {
    case .value(let value): sequence.minimum = value
    case .standard: sequence.minimum = isAscending ? 1 : limits.lowerBound
    case nil: if isNew { sequence.minimum = isAscending ? 1 : limits.lowerBound }
    }
    for (word, value) in [("MAXVALUE", sequence.maximum), ("MINVALUE", sequence.minimum)]
    where !limits.contains(value) {
      throw Rejection(
        .invalidParameterValue,
        "\(word) (\(value)) is out of range for sequence data type \(sequence.type.displayName)")
    }
    guard sequence.minimum < sequence.maximum else {
      throw Rejection(
        .invalidParameterValue,
        "MINVALUE (\(sequence.minimum)) must be less than MAXVALUE (\(sequence.maximum))")
    }
  }

  private func checkInside(_ value: Int64, _ word: String, _ sequence: SequenceDefinition) throws(Rejection) {
    if value < sequence.minimum {
      throw Rejection(
        .invalidParameterValue, "\(word) value (\(value)) cannot be less than MINVALUE (\(sequence.minimum))")
    }
    if value > sequence.maximum {
      throw Rejection(
        .invalidParameterValue, "\(word) value (\(value)) cannot be greater than MAXVALUE (\(sequence.maximum))")
    }
  }

  private func applyOwner(
    _ owner: SequenceOptions.Owner, to sequence: inout SequenceDefinition
  ) throws(Rejection) {
    switch owner {
    case .none: (sequence.ownerTableID, sequence.ownerColumn) = (nil, 0)
    case .column(let tableID, let number):
      let table = try table(tableID)
      guard table.columns.indices.contains(number - 1) else {
        throw Rejection(.undefinedColumn, "column number \(number) of table \"\(table.name)\" does not exist")
      }
      guard table.schemaID == sequence.schemaID else {
        throw Rejection(
          .objectNotInPrerequisiteState, "sequence must be in same schema as table it is linked to")
      }
      guard table.ownerID == sequence.ownerID else {
        throw Rejection(
          .objectNotInPrerequisiteState, "sequence must have same owner as table it is linked to")
      }
      (sequence.ownerTableID, sequence.ownerColumn) = (tableID, number)
    }
  }
}

extension SQLState {
  /// 2200H: sequence generator limit exceeded.
  static let sequenceGeneratorLimitExceeded = SQLState(rawValue: "2200H")
}
