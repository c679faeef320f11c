import EventLoop
import Foundation
import Raft
import SegmentedLog
import Testing

@testable import LogStore

@LoopActor
@Suite("Log store")
struct LogStoreTests {
  private func configuration() -> LogConfiguration {
    var configuration = LogConfiguration(
      identity: LogIdentity(clusterID: Array(1...16), groupID: "test", nodeID: 1), initialMembers: threeMembers)
    configuration.segmentBytes = 64 * 1024
    configuration.cacheBytes = 4096
    return configuration
  }

  private func temporaryDirectory() throws -> String {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("log-store-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  private func written(_ log: LogStore, _ write: LogWrite, sequence: UInt64) async {
    await withCheckedContinuation { continuation in
      log.onWritten = { if $0 == sequence { continuation.resume() } }
      log.write(write, sequence: sequence)
    }
  }

  private func read(_ log: LogStore, from: UInt64, through: UInt64) async throws -> [Entry] {
    try await withCheckedContinuation { continuation in
      log.readEntries(from: from, through: through, limitBytes: 1_000_000) { continuation.resume(returning: $0) }
    }.get()
  }

  @Test("Entries are durable when they are reported, and come back after a restart, from memory and from disk")
  func reopen() async throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (log, fresh) = try await LogStore.open(configuration(), on: FileDisk(path: path))
    #expect(fresh.terms.lastIndex == 0)
    #expect(fresh.baseConfiguration == threeMembers)
    await written(log, .hardState(HardState(term: 3, vote: 1)), sequence: 1)
    let entries = (1...1000).map { entry(UInt64($0), 3, "value of entry \($0)") }
    await written(log, .entries(entries), sequence: 2)
    #expect(log.recentEntries(from: 1, through: 1, limitBytes: 100) == nil)
    #expect(log.recentEntries(from: 1000, through: 1000, limitBytes: 100) == [entries[999]])
    #expect(try await read(log, from: 17, through: 17) == [entries[16]])
    await log.close()
    let (again, recovered) = try await LogStore.open(configuration(), on: FileDisk(path: path))
    #expect(recovered.hardState == HardState(term: 3, vote: 1))
    #expect(recovered.terms.lastIndex == 1000)
    #expect(try await read(again, from: 1000, through: 1000) == [entries[999]])
    await again.close()
  }

  @Test("What replaces entries is read in their place, even before it is durable")
  func replaced() async throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (log, _) = try await LogStore.open(configuration(), on: FileDisk(path: path))
    await written(log, .entries((1...500).map { entry(UInt64($0), 1, "old value \($0)") }), sequence: 1)
    log.write(.entries([entry(100, 2, "new")]), sequence: 2)
    #expect(try await read(log, from: 100, through: 500) == [entry(100, 2, "new")])
    #expect(try await read(log, from: 99, through: 500).first == entry(99, 1, "old value 99"))
    await written(log, .entries([entry(101, 2, "newer")]), sequence: 3)
    #expect(try await read(log, from: 100, through: 500).first == entry(100, 2, "new"))
    await #expect(throws: LogStoreError.beyondEnd(lastIndex: 101)) { try await read(log, from: 102, through: 500) }
    await log.close()
  }

  @Test("Compacted entries are refused with the first index that is left")
  func compacted() async throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (log, _) = try await LogStore.open(configuration(), on: FileDisk(path: path))
    await written(log, .entries((1...500).map { entry(UInt64($0), 1, "value \($0)") }), sequence: 1)
    await written(
      log, .compaction(LogBase(snapshot: metadata(400, 1), base: metadata(300, 1))), sequence: 2)
    await #expect(throws: LogStoreError.compacted(firstIndex: 301)) { try await read(log, from: 300, through: 500) }
    #expect(try await read(log, from: 301, through: 301) == [entry(301, 1, "value 301")])
    await log.close()
  }

  @Test("A directory in use is refused")
  func inUse() async throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (log, _) = try await LogStore.open(configuration(), on: FileDisk(path: path))
    await #expect(throws: LogStoreError.inUse(path: path)) {
      _ = try await LogStore.open(configuration(), on: FileDisk(path: path))
    }
    await log.close()
    let (again, _) = try await LogStore.open(configuration(), on: FileDisk(path: path))
    await again.close()
  }

  @Test("A failed write ends the log")
  func failure() async throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let disk = FaultyDisk(try FileDisk(path: path))
    let (log, _) = try await LogStore.open(configuration(), on: disk)
    disk.synchronizationError = 5
    let error = await withCheckedContinuation { continuation in
      log.onFailure = { continuation.resume(returning: $0) }
      log.write(.entries([entry(1, 1, "a")]), sequence: 1)
    }
    #expect(error == .io(operation: "synchronize", path: path, errno: 5))
    await log.close()
  }

  @Test("Damage that is met while reading is named, and accounted for by the next start, once")
  func damageWhileReading() async throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (log, _) = try await LogStore.open(configuration(), on: FileDisk(path: path))
    await written(log, .hardState(HardState(term: 3, vote: 1)), sequence: 1)
    for sequence: UInt64 in 2...11 {
      let entries = (1...20).map { entry((sequence - 2) * 20 + $0, 3, "value of entry \((sequence - 2) * 20 + $0)") }
      await written(log, .entries(entries), sequence: sequence)
    }
    let file = path + "/0000000001.log"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
    let place = try #require(bytes.range(of: Data("value of entry 50".utf8)))
    bytes[place.lowerBound] ^= 1
    try bytes.write(to: URL(fileURLWithPath: file))
    // The store has the old file open; what it reads is the old one's. A new store reads the new one's.
    await log.close()
    let opened = try await LogStore.open(configuration(), on: FileDisk(path: path))
    #expect(opened.log.loss == LogLoss(firstIndex: 50, promised: LogPosition(index: 200, term: 3)))
    #expect(opened.recovered.promised == LogPosition(index: 200, term: 3))
    #expect(opened.recovered.terms.lastIndex == 49)
    await #expect(throws: LogStoreError.beyondEnd(lastIndex: 49)) { try await read(opened.log, from: 50, through: 60) }
    await opened.log.close()
    let again = try await LogStore.open(configuration(), on: FileDisk(path: path))
    #expect(again.log.loss == nil)
    #expect(again.recovered.promised == LogPosition(index: 200, term: 3))
    await again.log.close()
  }

  @Test("Bit rot beneath an open log is an error with file and offset")
  func rotBeneath() async throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (log, _) = try await LogStore.open(configuration(), on: FileDisk(path: path))
    await written(log, .entries((1...500).map { entry(UInt64($0), 3, "value of entry \($0)") }), sequence: 1)
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path + "/0000000001.log"))
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path + "/0000000001.log"))
    let place = try #require(bytes.range(of: Data("value of entry 50".utf8)))
    try handle.seek(toOffset: UInt64(place.lowerBound))
    try handle.write(contentsOf: Data("V".utf8))
    try handle.close()
    await #expect {
      try await read(log, from: 45, through: 60)
    } throws: { error in
      guard case .corrupt(let file, _, _)? = error as? LogStoreError else { return false }
      return file == path + "/0000000001.log"
    }
    await log.close()
  }

  @Test("What compaction drops is read from the archive, also after a restart")
  func archive() async throws {
    let path = try temporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: path) }
    var configuration = configuration()
    configuration.archive = .all
    configuration.segmentBytes = 16 * 1024
    let (log, _) = try await LogStore.open(configuration, on: FileDisk(path: path))
    for sequence: UInt64 in 1...10 {
      let first = (sequence - 1) * 300 + 1
      await written(
        log, .entries((first..<(first + 300)).map { entry($0, 1, "a somewhat longer value of entry \($0)") }),
        sequence: sequence)
    }
    #expect(log.droppable(before: 3000, keptBytes: 1 << 30) == 0)
    let droppable = log.droppable(before: 3000, keptBytes: 100_000)
    #expect(droppable > 500 && droppable < 2500)
    await written(
      log, .compaction(LogBase(snapshot: metadata(3000, 1), base: metadata(droppable, 1))), sequence: 11)
    await #expect(throws: LogStoreError.compacted(firstIndex: droppable + 1)) {
      try await read(log, from: 1, through: 10)
    }
    let last = try #require(log.archive.segments.last?.lastIndex)
    /// From segment to segment and back.
    func readHereAndThere(_ log: LogStore) async throws {
      for index in [last, 1, last / 2, 2, last - 1, last / 2 + 1, 1] {
        #expect(
          try await log.readArchived(from: index, through: index, limitBytes: 1)
            == [entry(index, 1, "a somewhat longer value of entry \(index)")])
      }
    }
    #expect(log.archive.segments.count > 1)
    try await readHereAndThere(log)
    var found: [Entry] = []
    while found.count < Int(last) {
      found += try await log.readArchived(from: UInt64(found.count) + 1, through: last, limitBytes: 10_000)
    }
    #expect(found.map(\.index) == Array(1...last))
    #expect(found[41] == entry(42, 1, "a somewhat longer value of entry 42"))
    await log.close()
    let (again, _) = try await LogStore.open(configuration, on: FileDisk(path: path))
    #expect(again.archive == log.archive)
    try await readHereAndThere(again)
    #expect(try await again.readArchived(from: 7, through: 7, limitBytes: 1) == [found[6]])
    // Dropped too, but in a segment that the log still needs.
    #expect(
      try await again.readArchived(from: last + 1, through: last + 1, limitBytes: 1)
        == [entry(last + 1, 1, "a somewhat longer value of entry \(last + 1)")])
    await #expect(throws: LogStoreError.self) {
      try await again.readArchived(from: 3001, through: 3001, limitBytes: 1)
    }
    await again.close()
  }
}
