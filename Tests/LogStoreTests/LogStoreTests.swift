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
}
