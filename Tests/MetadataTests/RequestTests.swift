import Metadata
import SQLTypes
import Testing

@Suite struct RequestTests {
  @Test func aRequestsResultIsKeptWithTheImage() throws {
    var fixture = try Fixture.cluster()
    let request = RequestID(client: "c", sequence: 1)
    #expect(fixture.image.requests.lookup(request) == .new)
    try fixture.append(.setSetting(name: "a", value: "1"), requestID: request)
    #expect(fixture.image.requests.lookup(request) == .answered(index: fixture.image.index))
    #expect(fixture.image.requests.lookup(RequestID(client: "c", sequence: 2)) == .new)
    #expect(fixture.image.requests.lookup(RequestID(client: "d", sequence: 1)) == .new)
  }

  @Test func resultsBeyondTheBoundAreForgottenAndSaySo() {
    var table = RequestTable()
    for sequence in 1...70 {
      table.add(RequestID(client: "c", sequence: UInt64(sequence)), index: UInt64(sequence * 2), kept: 64)
    }
    #expect(table.lookup(RequestID(client: "c", sequence: 6)) == .forgotten)
    #expect(table.lookup(RequestID(client: "c", sequence: 7)) == .answered(index: 14))
    #expect(table.lookup(RequestID(client: "c", sequence: 71)) == .new)
  }

  @Test func resultsThatComeOutOfOrderAreFoundAndForgottenBySequence() {
    var table = RequestTable()
    for step in 0..<2000 {
      // 2, 1, 4, 3 …
      let sequence = UInt64(step % 2 == 0 ? step + 2 : step)
      table.add(RequestID(client: "c", sequence: sequence), index: UInt64(step + 1))
    }
    #expect(table.lookup(RequestID(client: "c", sequence: 976)) == .forgotten)
    #expect(table.lookup(RequestID(client: "c", sequence: 977)) == .answered(index: 978))
    #expect(table.lookup(RequestID(client: "c", sequence: 1999)) == .answered(index: 2000))
    #expect(table.lookup(RequestID(client: "c", sequence: 2000)) == .answered(index: 1999))
    #expect(table.lookup(RequestID(client: "c", sequence: 2001)) == .new)
    let history = table.clients["c"]
    #expect(history?.results.map(\.sequence) == Array(977...2000))
    #expect(
      RequestHistory(history?.results ?? [], forgottenTo: 976, lastIndex: 2000) == history)
  }

  @Test func theClientThatWasSilentLongestIsForgottenFirst() {
    var table = RequestTable()
    for client in 0..<1024 { table.add(RequestID(client: "c\(client)", sequence: 1), index: UInt64(client + 1)) }
    table.add(RequestID(client: "c0", sequence: 2), index: 2000)
    table.add(RequestID(client: "new", sequence: 1), index: 2001)
    #expect(table.clients.count == 1024)
    #expect(table.lookup(RequestID(client: "c1", sequence: 1)) == .new)
    #expect(table.lookup(RequestID(client: "c0", sequence: 2)) == .answered(index: 2000))
  }

  @Test func anExpectedVersionHasOneWinner() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t", [ColumnDraft(name: "id", type: .int4, sequence: OwnedSequenceDraft())])))
    let id = try fixture.id("t_id_seq")
    let version = try #require(fixture.image.versions[id])
    let expectation = [Precondition(objectID: id, version: version)]
    try fixture.append(.reserveSequence(id, count: 1), preconditions: expectation)
    let rejection = fixture.rejection(.reserveSequence(id, count: 1), preconditions: expectation)
    #expect(rejection?.sqlState.rawValue == "40001")
    #expect(fixture.image.versions[id] == fixture.image.index)
  }

  @Test func commandsOfOneRequestStandOrFallTogether() throws {
    let fixture = try Fixture.cluster()
    #expect(fixture.rejection(.createTable(draft("t")), .createTable(draft("t")))?.sqlState.rawValue == "42P07")
    #expect(fixture.image.tables.isEmpty)
    #expect(fixture.rejection()?.message == "the request holds no command")
  }
}
