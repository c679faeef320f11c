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
    var recovery = try LogRecovery(disk: disk, configuration: configuration)
    var recovered = try recovery.run()
    let writer = LogWriter(disk: disk, configuration: configuration, recovered: recovered)
    // The first members are durable from the start, whatever a later start is told; and so is what damage has cost.
    if recovered.isNew || !recovered.repairs.isEmpty {
      let result = try writer.write(recovered.repairs)
      guard result.isComplete else {
        throw .io(operation: "write the first records to", path: disk.path, errno: 28)
      }
      recovered.segments += try result.opened.map { (opened) throws(LogStoreError) in
        LiveSegment(number: opened.number, file: opened.file, sizeBytes: try opened.file.sizeBytes)
      }
      recovered.segments.removeAll { result.dropped.contains($0.number) }
    }
    try writer.begin()
    return OpenedLog(lock: lock, recovered: recovered, writer: writer)
  }
}

extension EntryRun {
  /// Reads the entries back from their segment's file. Damage throws `corrupt`: opening the log again accounts for it.
  package func read(
    from file: any LogFile, identity: LogIdentity, directory: String, attempts: Int = 2
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
      // Bad memory or a bad cable may be different the next time; a bad disk is not.
      if attempts > 1 { return try read(from: file, identity: identity, directory: directory, attempts: attempts - 1) }
      throw .corrupt(
        path: directory + "/" + LogFileName.segment(segment), offset: damaged,
        what: "an entry that was durable is not whole")
    }
    return entries
  }
}
