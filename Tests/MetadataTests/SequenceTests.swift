import Metadata
import SQLTypes
import Testing

@Suite struct SequenceTests {
  private func sequence(_ options: SequenceOptions) throws -> (Fixture, ObjectID) {
    var fixture = try Fixture.cluster()
    try fixture.append(
      .createSequence(
        SequenceDraft(
          schemaID: WellKnown.publicSchema, name: "s", ownerID: WellKnown.firstRole, options: options)))
    return (fixture, try fixture.id("s"))
  }

  @Test func reservationsFollowOneAnother() throws {
    var (fixture, id) = try sequence(SequenceOptions())
    #expect(
      try fixture.append(.reserveSequence(id, count: 100)) == [
        .sequenceReserved(id, first: 1, last: 100, count: 100)
      ])
    #expect(
      try fixture.append(.reserveSequence(id, count: 1), .reserveSequence(id, count: 2)) == [
        .sequenceReserved(id, first: 101, last: 101, count: 1), .sequenceReserved(id, first: 102, last: 103, count: 2),
      ])
  }

  @Test func aSequenceEndsAtItsLimit() throws {
    var (fixture, id) = try sequence(SequenceOptions(increment: 3, maximum: .value(10), start: 2))
    #expect(
      try fixture.append(.reserveSequence(id, count: 9)) == [.sequenceReserved(id, first: 2, last: 8, count: 3)])
    let rejection = fixture.rejection(.reserveSequence(id, count: 1))
    #expect(rejection?.sqlState.rawValue == "2200H")
    #expect(rejection?.message == "nextval: reached maximum value of sequence \"s\" (10)")
  }

  @Test func aCyclingSequenceBeginsAgainAtItsOtherEnd() throws {
    var (fixture, id) = try sequence(
      SequenceOptions(increment: -1, minimum: .value(-3), maximum: .value(5), start: -2, isCycle: true))
    #expect(
      try fixture.append(.reserveSequence(id, count: 9)) == [.sequenceReserved(id, first: -2, last: -3, count: 2)])
    #expect(
      try fixture.append(.reserveSequence(id, count: 2)) == [.sequenceReserved(id, first: 5, last: 4, count: 2)])
  }

  @Test func theWholeRangeOfInt8IsReservedWithoutOverflow() throws {
    var (fixture, id) = try sequence(SequenceOptions(minimum: .value(.min), start: .min))
    #expect(
      try fixture.append(.reserveSequence(id, count: .max)) == [
        .sequenceReserved(id, first: .min, last: -2, count: .max)
      ])
    #expect(
      try fixture.append(.reserveSequence(id, count: .max)) == [
        .sequenceReserved(id, first: -1, last: .max - 2, count: .max)
      ])
    #expect(
      try fixture.append(.reserveSequence(id, count: .max)) == [
        .sequenceReserved(id, first: .max - 1, last: .max, count: 2)
      ])
    #expect(fixture.rejection(.reserveSequence(id, count: 1))?.sqlState.rawValue == "2200H")
  }

  @Test func setvalSaysWhetherTheValueWasHandedOut() throws {
    var (fixture, id) = try sequence(SequenceOptions())
    try fixture.append(.setSequenceValue(id, value: 42, isCalled: true))
    #expect(
      try fixture.append(.reserveSequence(id, count: 1)) == [.sequenceReserved(id, first: 43, last: 43, count: 1)])
    try fixture.append(.setSequenceValue(id, value: 7, isCalled: false))
    #expect(
      try fixture.append(.reserveSequence(id, count: 1)) == [.sequenceReserved(id, first: 7, last: 7, count: 1)])
    #expect(
      fixture.rejection(.setSequenceValue(id, value: 0, isCalled: true))?.message
        == "setval: value 0 is out of bounds for sequence \"s\" (1..9223372036854775807)")
  }

  @Test func alterSequenceRestartsAndChangesLimits() throws {
    var (fixture, id) = try sequence(SequenceOptions())
    try fixture.append(.reserveSequence(id, count: 5))
    try fixture.append(.alterSequence(id, SequenceOptions(restart: .at(100))))
    #expect(
      try fixture.append(.reserveSequence(id, count: 1)) == [.sequenceReserved(id, first: 100, last: 100, count: 1)])
    #expect(
      fixture.rejection(.alterSequence(id, SequenceOptions(maximum: .value(50))))?.message
        == "RESTART value (100) cannot be greater than MAXVALUE (50)")
    #expect(
      fixture.rejection(.alterSequence(id, SequenceOptions(increment: 0)))?.message == "INCREMENT must not be zero")
    try fixture.append(.alterSequence(id, SequenceOptions(type: .int2)))
    #expect(fixture.image.sequences[id]?.maximum == 32767)
  }

  @Test func aSequenceThatADefaultUsesIsDroppedOnlyWithCascade() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(
      .createTable(
        draft(
          "t",
          [
            ColumnDraft(name: "a", type: .int4, sequence: OwnedSequenceDraft()),
            ColumnDraft(name: "b", type: .int4, identity: .byDefault, sequence: OwnedSequenceDraft()),
          ])))
    let serial = try fixture.id("t_a_seq")
    let rejection = fixture.rejection(.dropSequences([serial], isCascade: false))
    #expect(rejection?.message == "cannot drop sequence t_a_seq because other objects depend on it")
    #expect(rejection?.detail == "default value for column a of table t depends on sequence t_a_seq")
    #expect(
      fixture.rejection(.dropSequences([try fixture.id("t_b_seq")], isCascade: true))?.message
        == "cannot drop sequence t_b_seq because column b of table t requires it")
    try fixture.append(.dropSequences([serial], isCascade: true))
    #expect(try fixture.table("t").columns[0].defaultExpression == nil)
    #expect(try fixture.table("t").version == 2)
  }
}
