import EventLoop
import Foundation
import Raft
import SegmentedLog
import Testing

@testable import Replica

@LoopActor
@Suite("Kept snapshots")
struct SnapshotStoreTests {
  private let members = Configuration(voters: [Member(id: 1, address: "a:1")])

  private func offer(_ bytes: [UInt8], index: UInt64, checksum: UInt32? = nil) -> SnapshotOffer {
    SnapshotOffer(
      from: 1, term: 3, metadata: SnapshotMetadata(index: index, term: 2, configuration: members),
      sizeBytes: bytes.count, checksum: checksum ?? bytes.withUnsafeBytes { CRC32C.checksum($0) })
  }

  private func withStore(_ body: @LoopActor (SnapshotStore) async throws -> Void) async throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("snapshots-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let store = SnapshotStore(directory: path)
    try await store.open()
    try await body(store)
    store.close()
  }

  @Test("A transfer that broke is taken up where it ended, and the whole is verified and there after a restart")
  func resume() async throws {
    try await withStore { store in
      let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
      let offer = offer(bytes, index: 40)
      #expect(try await store.beginIncoming(offer) == 0)
      try await store.receive(offer, Array(bytes[..<6000]), at: 0)
      await #expect(throws: SnapshotError.self) { try await store.receive(offer, [1], at: 7000) }
      await #expect(throws: SnapshotError.self) { try await store.finishIncoming(offer) }
      #expect(try await store.beginIncoming(offer) == 6000)
      try await store.receive(offer, Array(bytes[6000...]), at: 6000)
      try await store.finishIncoming(offer)
      let again = SnapshotStore(directory: store.directory)
      try await again.open()
      let kept = try #require(again.latest)
      #expect(kept.metadata == SnapshotMetadata(index: 40, term: 2, configuration: members))
      #expect(try FileSystem.read(kept.path) == bytes)
    }
  }

  @Test("Bytes that are not what was offered are refused")
  func checksum() async throws {
    try await withStore { store in
      let offer = offer([1, 2, 3], index: 5, checksum: 77)
      _ = try await store.beginIncoming(offer)
      try await store.receive(offer, [1, 2, 3], at: 0)
      await #expect(throws: SnapshotError.self) { try await store.finishIncoming(offer) }
      #expect(store.latest == nil)
    }
  }

  @Test("Every bit of a description counts")
  func descriptions() async throws {
    try await withStore { store in
      for index: UInt64 in 1...20 {
        let path = store.temporaryPath
        try FileSystem.write(path, Array("snapshot \(index)".utf8))
        try await store.adopt(path, metadata: SnapshotMetadata(index: index, term: 1, configuration: members))
        let name = "\(index).description"
        var bytes = try FileSystem.read(store.directory + "/" + name)
        #expect(SnapshotStore.described(bytes, name: name, in: store.directory)?.metadata.index == index)
        for bit in 0..<(8 * bytes.count) {
          bytes[bit / 8] ^= 1 << UInt8(bit % 8)
          #expect(SnapshotStore.described(bytes, name: name, in: store.directory) == nil, "bit \(bit) of \(name)")
          bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
      }
    }
  }

  @Test("The two latest stay, a damaged one does not count")
  func retention() async throws {
    try await withStore { store in
      for index: UInt64 in [10, 20, 30] {
        let path = store.temporaryPath
        try FileSystem.write(path, Array("snapshot \(index)".utf8))
        try await store.adopt(path, metadata: SnapshotMetadata(index: index, term: 1, configuration: members))
      }
      let again = SnapshotStore(directory: store.directory)
      try await again.open()
      #expect(again.latest?.metadata.index == 30)
      #expect(again.stored(at: 20) != nil)
      #expect(again.stored(at: 10) == nil)
      try FileSystem.write(store.directory + "/30.snapshot", Array("snapshot 3x".utf8))
      let damaged = SnapshotStore(directory: store.directory)
      try await damaged.open()
      #expect(damaged.latest?.metadata.index == 20)
    }
  }
}
