import ProtocolRaft
import Raft
import Testing

@testable import Replica

@Suite("Messages on the wire")
struct MessageCodingTests {
  private func wire(_ body: Message.Body) -> Kunlog_Raft_V1_Message {
    var encoded = EncodedEntries()
    return Message(from: 1, to: 2, term: 7, body: body).wire(&encoded)
  }

  private func body(_ wire: Kunlog_Raft_V1_Message) throws -> Message.Body {
    try Message(wire: wire, from: 1, to: 2).body
  }

  @Test(
    "What is read is what was written",
    arguments: [
      .heartbeatResponse(round: 4), .promiseQuestion(id: 9), .promiseRecalled(LogPosition(index: 5, term: 3)),
      .promiseAnswer(id: 9, LogPosition(index: 5, term: 3)), .promiseKept, .foreignDisk(recorded: 12),
    ] as [Message.Body])
  func roundTrip(written: Message.Body) throws { #expect(try body(wire(written)) == written) }

  @Test("A program that does not know the question takes it for the answer to an old round")
  func olderPrograms() throws {
    var question = wire(.promiseQuestion(id: 9))
    question.heartbeatResponse.promiseQuestion = 0
    #expect(try body(question) == .heartbeatResponse(round: 0))
  }

  @Test("A message of a kind that is not known is refused")
  func unknown() {
    #expect(throws: MalformedMessage(description: "a message of a kind that this version does not know")) {
      try body(Kunlog_Raft_V1_Message())
    }
  }
}
