import Raft

/// A log that is open: what was found in its directory, and what writes to it.
package struct OpenedLog {
  /// Holds the directory for this process while it lives.
  package var lock: any Sendable
  /// What was found.
  package var recovered: RecoveredLog
  /// Goes on where that ends.
  package var writer: LogWriter

  /// Opens a log, or begins one in an empty directory.
  package static func open(
    _ configuration: LogConfiguration, on disk: any LogDisk
  ) throws(LogStoreError) -> OpenedLog {
    let lock = try disk.lock()
    var recovery = LogRecovery(disk: disk, configuration: configuration)
    var recovered = try recovery.run()
    let writer = LogWriter(disk: disk, configuration: configuration, recovered: recovered)
    if recovered.segments.isEmpty {
      // The first members are durable from the start, whatever a later start is told.
      recovered.segments = try writer.write([]).opened.map {
        LiveSegment(number: $0.number, file: $0.file, sizeBytes: configuration.segmentBytes, lastIndex: 0)
      }
    }
    return OpenedLog(lock: lock, recovered: recovered, writer: writer)
  }
}

extension EntryRun {
  /// Reads the entries back from their segment's file.
  package func read(
    from file: any LogFile, identity: LogIdentity, directory: String
  ) throws(LogStoreError) -> [Entry] {
    let codec = RecordCodec(identity: identity, segment: segment)
    let start = Int(offsets[0])
    var bytes = [UInt8](repeating: 0, count: endOffset - start)
    _ = try file.read(&bytes, at: start)
    var entries: [Entry] = []
    entries.reserveCapacity(offsets.count)
    let damaged = bytes.withUnsafeBytes { buffer -> Int? in
      for (position, offset) in offsets.enumerated() {
        guard let found = codec.decode(buffer, at: Int(offset) - start), case .entry(let entry) = found.record,
          entry.index == firstIndex + UInt64(position)
        else { return Int(offset) }
        entries.append(entry)
      }
      return nil
    }
    if let damaged {
      throw .corrupt(
        path: directory + "/" + LogFileName.segment(segment), offset: damaged,
        what: "an entry that was durable is not whole")
    }
    return entries
  }
}
