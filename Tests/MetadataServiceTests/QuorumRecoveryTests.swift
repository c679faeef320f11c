import Raft
import Testing

@testable import MetadataService

/// What a forced recovery leaves in a node's directory.
@Suite struct QuorumRecoveryTests {
  private let recovery = QuorumRecovery(
    index: 12, term: 5, principal: "erika \"the\" operator", timeMicroseconds: 1_790_000_000_000_000,
    last: LogPosition(index: 11, term: 3),
    members: [Member(id: 1, address: "10.0.0.1:6001"), Member(id: 2, address: "[::1]:6002")], formerMembers: [7])

  private let text = """
    kunlog quorum recovery 1
    entry 12 5
    last 11 3
    time 1790000000000000
    principal erika "the" operator
    recorded 0
    member 1 10.0.0.1:6001
    member 2 [::1]:6002
    former 7

    """

  @Test("It is kept as lines of text, and read back") func text_() {
    #expect(recovery.text == text)
    #expect(QuorumRecovery(text: text) == recovery)
  }

  @Test(
    "What is no such file is not taken for one",
    arguments: [
      "", "kunlog quorum recovery 2\nentry 1 1\nmember 1 a:1\n", "kunlog quorum recovery 1\n",
      "kunlog quorum recovery 1\nentry 1 1\nmember x a:1\n", "kunlog quorum recovery 1\nentry 1 1\nsurprise\n",
    ])
  func damaged(_ text: String) {
    #expect(QuorumRecovery(text: text) == nil)
  }

  @Test("The members of before, and of recoveries before that, are out; the node itself is not") func out() {
    #expect([1, 2, 7, 8].map { recovery.isOut($0, node: 1) } == [false, true, true, false])
  }

  @Test("The note is one JSON document") func note() {
    #expect(
      recovery.note(node: 1)
        == #"{"node":1,"index":12,"term":5,"last_index":11,"last_term":3,"principal":"erika \"the\" operator","#
        + #""time_microseconds":1790000000000000,"old_members":[{"id":1,"address":"10.0.0.1:6001"},"#
        + #"{"id":2,"address":"[::1]:6002"}]}"#)
  }
}
