import Testing

@testable import Raft

@Suite("Configurations")
struct ConfigurationTests {
  @Test("Without disks the bytes are those of version 1")
  func versionOne() {
    let members = Configuration(
      voters: [Member(id: 1, address: "a:1")], learners: [Member(id: 258, address: "b")])
    let bytes: [UInt8] =
      [1, 2, 0]
      + [1, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0x61, 0x3A, 0x31]
      + [2, 1, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0x62]
    #expect(members.encoded() == bytes)
    #expect(Configuration(encoded: bytes) == members)
  }

  @Test("With a disk the bytes are those of version 2")
  func versionTwo() {
    let members = Configuration(
      voters: [Member(id: 1, address: "a", disk: 0x0102), Member(id: 2, address: "b")])
    let bytes: [UInt8] =
      [2, 2, 0]
      + [1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0x61]
      + [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x62]
    #expect(members.encoded() == bytes)
    #expect(Configuration(encoded: bytes) == members)
  }

  @Test(
    "Bytes that are none of a configuration are refused",
    arguments: [
      [], [1], [3, 0, 0], [1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
      [1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], [2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
    ] as [[UInt8]])
  func malformed(bytes: [UInt8]) { #expect(Configuration(encoded: bytes) == nil) }

  @Test("Another address leaves the disk as it is; disks are recorded only where none is known")
  func disks() throws {
    let members = Configuration(voters: [Member(id: 1, address: "a", disk: 7), Member(id: 2, address: "b")])
    let moved = try members.applying([.changeAddress(Member(id: 1, address: "c"))])
    #expect(moved.member(1) == Member(id: 1, address: "c", disk: 7))
    #expect(members.recording([1: 8, 2: 9, 3: 10]).members.map(\.disk) == [7, 9])
  }

  @Test("Quorums of configurations that follow each other intersect", arguments: 0..<200)
  func intersection(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    var members = Configuration(voters: [1, 2, 3].map { Member(id: $0, address: "h") })
    for _ in 0..<20 {
      var changes: [MembershipChange] = []
      for _ in 0...random.next(below: 3) {
        let id = 1 + random.next(below: 6)
        switch random.next(below: 3) {
        case 0: changes.append(.addLearner(Member(id: id, address: "h")))
        case 1: changes.append(.promote(id))
        default: changes.append(.remove(id))
        }
      }
      guard let next = try? (members.isJoint ? members.leavingJoint : members).applying(changes) else { continue }
      let former = members.isJoint ? members.leavingJoint : members
      // A set of nodes decides in one configuration, all others in the next: never both.
      for set in 0..<UInt64(128) {
        let isInside = { (id: NodeID) in set >> id & 1 == 1 }
        #expect(!(former.hasQuorum(isInside) && next.hasQuorum { !isInside($0) }))
        if next.isJoint { #expect(!(next.hasQuorum(isInside) && next.leavingJoint.hasQuorum { !isInside($0) })) }
      }
      members = next
    }
  }
}
