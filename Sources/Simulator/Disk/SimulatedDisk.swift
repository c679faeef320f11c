import SegmentedLog

/// A directory on a disk that can lose what was not synchronized, tear it, and do worse where it is told to.
///
/// Every change since the last synchronization that has ended stands in a journal, with what it replaced. A crash goes back
/// to some point of the journal: each write and each change of the directory is a place at which the machine can die. Time
/// does not pass here: the node says, with `settle`, when what it has synchronized is durable.
///
/// Confined to one world, which runs on one thread: that is what makes it sendable.
final class SimulatedDisk: LogDisk, @unchecked Sendable {
  /// A change that is not durable so far.
  private enum Change {
    case write(SimulatedFile, offset: Int, old: [UInt8], new: [UInt8])
    case fileSynchronized(SimulatedFile)
    case created(SimulatedFile)
    case renamed(SimulatedFile, from: String, to: String, replaced: SimulatedFile?)
    case removed(SimulatedFile)
    case directorySynchronized

    var isSynchronization: Bool {
      switch self {
      case .fileSynchronized, .directorySynchronized: true
      default: false
      }
    }

    /// Whether the synchronization makes this change durable.
    func isCovered(by synchronization: Change) -> Bool {
      switch (self, synchronization) {
      case (.write(let file, _, _, _), .fileSynchronized(let other)): file === other
      case (.created, .directorySynchronized), (.renamed, .directorySynchronized), (.removed, .directorySynchronized):
        true
      default: false
      }
    }
  }

  /// What goes wrong with the calls to come.
  struct Trouble {
    /// Writes fail with this error; 0: they do not.
    var writeErrno: Int32 = 0
    /// The next synchronization fails.
    var failsSynchronization = false
    /// No space for new files, but what is given back.
    var isFull = false
    /// What was given back since the disk is full, in bytes.
    var freeBytes = 0
    /// Reads fail.
    var failsReads = false
    /// The next write goes nowhere, but is reported as done.
    var losesNextWrite = false
    /// The next write goes to a wrong place of its file.
    var misdirectsNextWrite = false
  }

  /// A write that went nowhere, or to a wrong place.
  private struct Astray {
    var file: SimulatedFile
    var offset: Int
    var bytes: [UInt8]
    /// Where it went instead, and what had been there; empty: nowhere.
    var place: Int
    var overwritten: [UInt8] = []
    /// There are later writes, durable or not.
    var isFollowed = false
  }

  let path: String
  var trouble = Trouble()
  /// How many synchronizations there were.
  private(set) var synchronizations: UInt64 = 0
  // In no particular order; there are few.
  private(set) var files: [SimulatedFile] = []
  private var journal: [Change] = []

  // Where the last write went, and the one before it: of the last one alone damage could not be told from a torn end.
  private var lastWrite: (file: SimulatedFile, offset: Int)?
  // A write that went astray and that no later one has followed durably: after a crash nobody could tell it from a torn
  // end, so that a crash finds it where it belongs.
  private var astray: Astray?

  private static let sectorBytes = 512

  init(path: String) { self.path = path }

  // MARK: - What the log asks for

  func lock() throws(LogStoreError) -> any Sendable { 0 }

  func list() throws(LogStoreError) -> [String] { files.map(\.name).sorted() }

  func open(_ name: String) throws(LogStoreError) -> any LogFile {
    guard let file = file(name) else { throw .io(operation: "open", path: path + "/" + name, errno: 2) }
    return file
  }

  func create(_ name: String, sizeBytes: Int) throws(LogStoreError) -> any LogFile {
    if trouble.isFull, trouble.freeBytes < sizeBytes {
      throw .io(operation: "reserve space for", path: path + "/" + name, errno: 28)
    }
    if trouble.isFull { trouble.freeBytes -= sizeBytes }
    if let old = file(name) {
      journal.append(.removed(old))
      forget(old)
    }
    let file = SimulatedFile(disk: self, name: name, sizeBytes: sizeBytes)
    files.append(file)
    journal.append(.created(file))
    return file
  }

  func rename(_ name: String, to newName: String) throws(LogStoreError) {
    guard let renamed = file(name) else { throw .io(operation: "rename", path: path + "/" + name, errno: 2) }
    let change = Change.renamed(renamed, from: name, to: newName, replaced: file(newName))
    redo(change)
    journal.append(change)
  }

  func remove(_ name: String) throws(LogStoreError) {
    guard let file = file(name) else { throw .io(operation: "remove", path: path + "/" + name, errno: 2) }
    journal.append(.removed(file))
    forget(file)
    if trouble.isFull { trouble.freeBytes += file.contents.count }
  }

  func synchronizeDirectory() throws(LogStoreError) { journal.append(.directorySynchronized) }

  func replace(_ name: String, with bytes: [UInt8]) throws(LogStoreError) {
    let temporary = name + ".new"
    let created = try create(temporary, sizeBytes: bytes.count)
    try created.write(bytes, at: 0)
    try created.synchronize()
    try rename(temporary, to: name)
    try synchronizeDirectory()
  }

  func file(_ name: String) -> SimulatedFile? { files.first { $0.name == name } }

  private func forget(_ file: SimulatedFile) { files.removeAll { $0 === file } }

  // MARK: - What its files ask for

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, of file: SimulatedFile) throws(LogStoreError) {
    if trouble.writeErrno != 0 {
      throw .io(operation: "write", path: path + "/" + file.name, errno: trouble.writeErrno)
    }
    guard offset + bytes.count <= file.contents.count else {
      throw .io(operation: "write", path: path + "/" + file.name, errno: 27)
    }
    guard !bytes.isEmpty else { return }
    astray?.isFollowed = true
    lastWrite = (file, offset)
    if trouble.losesNextWrite {
      trouble.losesNextWrite = false
      astray = Astray(file: file, offset: offset, bytes: Array(bytes), place: offset)
      return
    }
    if trouble.misdirectsNextWrite {
      trouble.misdirectsNextWrite = false
      var place = offset >= Self.sectorBytes ? offset - Self.sectorBytes : offset + Self.sectorBytes
      if place + bytes.count > file.contents.count { place = 0 }
      let old = Array(file.contents[place..<place + bytes.count])
      astray = Astray(file: file, offset: offset, bytes: Array(bytes), place: place, overwritten: old)
      return Self.put(Array(bytes)[...], at: place, of: file)
    }
    let target = UnsafeMutableRawBufferPointer(rebasing: file.contents[offset..<offset + bytes.count])
    journal.append(.write(file, offset: offset, old: Array(target), new: Array(bytes)))
    target.copyMemory(from: bytes)
  }

  func synchronize(_ file: SimulatedFile) throws(LogStoreError) {
    synchronizations += 1
    if trouble.failsSynchronization {
      trouble.failsSynchronization = false
      throw .io(operation: "synchronize", path: path + "/" + file.name, errno: 5)
    }
    journal.append(.fileSynchronized(file))
  }

  func checkRead(of file: SimulatedFile) throws(LogStoreError) {
    if trouble.failsReads { throw .io(operation: "read", path: path + "/" + file.name, errno: 5) }
  }

  // MARK: - Durability

  /// Whether all that was written is durable.
  var isSettled: Bool { journal.isEmpty }

  /// The synchronizations that were asked for have ended.
  func settle() {
    guard !journal.isEmpty else { return }
    defer { if journal.isEmpty, astray?.isFollowed == true { astray = nil } }
    // The usual case: one write, one synchronization.
    if journal.count == 2, journal[0].isCovered(by: journal[1]) { return journal.removeAll(keepingCapacity: true) }
    var rest: [Change] = []
    for (position, change) in journal.enumerated() where !change.isSynchronization {
      if !Self.isDurable(position, in: journal) { rest.append(change) }
    }
    journal = rest
  }

  private static func isDurable(_ position: Int, in changes: [Change]) -> Bool {
    changes[position...].contains { changes[position].isCovered(by: $0) }
  }

  /// The process dies within what it was doing, or the machine does. Of a process, what it had written is there. Of a
  /// machine, what it had not synchronized may be there, or not, or in parts.
  func crash(losesPower: Bool, _ chance: inout Chance) {
    trouble = Trouble(isFull: trouble.isFull, freeBytes: trouble.freeBytes)
    if let astray {
      self.astray = nil
      Self.put(astray.overwritten[...], at: astray.place, of: astray.file)
      Self.put(astray.bytes[...], at: astray.offset, of: astray.file)
      // What followed it is there as well.
      for case .write(let file, let offset, _, let new) in journal { Self.put(new[...], at: offset, of: file) }
      journal = []
    }
    guard !journal.isEmpty else { return }
    let all = journal
    journal = []
    for change in all.reversed() { undo(change) }
    let reached = chance.below(all.count + 1)
    let issued = Array(all[..<reached])
    let keepsOrder = chance.below(2) == 0
    var losesDirectoryChanges = false
    for (position, change) in issued.enumerated() where !change.isSynchronization {
      let isDurable = !losesPower || Self.isDurable(position, in: issued)
      if case .write(let file, let offset, _, let new) = change {
        if isDurable {
          Self.put(new[...], at: offset, of: file)
        } else {
          Self.tear(new, at: offset, of: file, keepsOrder: keepsOrder, &chance)
        }
      } else {
        // Changes of a directory reach the disk in their order.
        if !isDurable, !losesDirectoryChanges { losesDirectoryChanges = chance.below(2) == 0 }
        if !losesDirectoryChanges { redo(change) }
      }
    }
    if !losesPower, reached < all.count, case .write(let file, let offset, _, let new) = all[reached] {
      // Killed within a write: its beginning is there.
      Self.put(new.prefix(chance.below(new.count + 1)), at: offset, of: file)
    }
  }

  private func undo(_ change: Change) {
    switch change {
    case .fileSynchronized, .directorySynchronized: break
    case .write(let file, let offset, let old, _): Self.put(old[...], at: offset, of: file)
    case .created(let file): forget(file)
    case .renamed(let file, let from, _, let replaced):
      file.name = from
      if let replaced { files.append(replaced) }
    case .removed(let file): files.append(file)
    }
  }

  private func redo(_ change: Change) {
    switch change {
    case .fileSynchronized, .directorySynchronized, .write: break
    case .created(let file): files.append(file)
    case .renamed(let file, _, let newName, let replaced):
      if let replaced { forget(replaced) }
      file.name = newName
    case .removed(let file): forget(file)
    }
  }

  private static func put(_ bytes: ArraySlice<UInt8>, at offset: Int, of file: SimulatedFile) {
    UnsafeMutableRawBufferPointer(rebasing: file.contents[offset..<offset + bytes.count]).copyBytes(from: bytes)
  }

  /// Some of the write's sectors are there: the first ones, or any.
  private static func tear(
    _ bytes: [UInt8], at offset: Int, of file: SimulatedFile, keepsOrder: Bool, _ chance: inout Chance
  ) {
    var position = 0
    while position < bytes.count {
      let sectorEnd = ((offset + position) / sectorBytes + 1) * sectorBytes - offset
      let end = min(bytes.count, sectorEnd)
      if chance.below(2) == 0 {
        put(bytes[position..<end], at: offset + position, of: file)
      } else if keepsOrder {
        return
      }
      position = end
    }
  }

  // MARK: - Damage

  /// Makes the directory empty, as a new disk is.
  func wipe() {
    files = []
    journal = []
    lastWrite = nil
    astray = nil
    trouble = Trouble()
  }

  /// Flips a bit of what the log wrote, but not of its last batch; false where there is nothing else.
  func rotsSomewhere(_ chance: inout Chance) -> Bool {
    guard isSettled, let lastWrite, lastWrite.offset > 64 else { return false }
    let file = lastWrite.file
    guard file.name.hasSuffix(".log") else { return false }
    file.contents[chance.below(lastWrite.offset)] ^= 1 << UInt8(chance.below(8))
    return true
  }

  /// The log's segments that there are, in order.
  var segmentNames: [String] { files.map(\.name).filter { LogFileName.segmentNumber($0) != nil }.sorted() }

  /// Two files get each other's names.
  func exchange(_ one: String, _ other: String) {
    guard let first = file(one), let second = file(other) else { return }
    first.name = other
    second.name = one
  }

  /// A file is gone.
  func lose(_ name: String) {
    guard let file = file(name) else { return }
    forget(file)
  }

  /// What could be brought back later.
  func copied() -> SimulatedDisk {
    let copy = SimulatedDisk(path: path)
    for file in files { copy.files.append(SimulatedFile(copying: file, disk: copy)) }
    return copy
  }

  /// Brings back what a copy holds.
  func restore(_ backup: SimulatedDisk) {
    wipe()
    for file in backup.files { files.append(SimulatedFile(copying: file, disk: self)) }
  }
}
