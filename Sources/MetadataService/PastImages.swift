import EventLoop
import Logging
import Metadata
import MetadataLog
import RPC
import Replica

/// Makes the image as it was at a moment: from the nearest state before it that is kept, and the records after that. The log's
/// thread reads, a thread of its own folds; the loop hands on what was read. One image is made at a time.
@LoopActor
final class PastImages {
  /// A moment of the log.
  enum Moment: Sendable, Equatable {
    /// After the last record with this index or a lower one.
    case index(UInt64)
    /// Before the first record whose time is later than this, in microseconds since 1970-01-01 UTC.
    case time(Int64)
  }

  /// A state to begin with.
  private struct Base {
    enum Source {
      case empty
      case image(Image)
      case file(String)
      case archived(ImageArchive.Kept)
    }
    var index: UInt64
    /// No record up to it bears a later time; nil where that is not known.
    var latestTimeMicroseconds: Int64?
    var source: Source
  }

  private static let batchBytes = 1024 * 1024
  private static let maximumWaiting = 16
  /// Images that were made last are where the next one may begin.
  private static let maximumKept = 2

  private let replica: Replica<MetadataMachine>
  private let worker = WorkerThread(name: "metadata-past", isBackground: true)
  private let logger = Logger(label: "metadata-history")
  private var kept: [Image] = []
  /// Indexes of images along the archive that were found damaged.
  private var damaged: Set<UInt64> = []
  private var isBusy = false
  private var waiting: [UnsafeContinuation<Void, Never>] = []

  init(_ replica: Replica<MetadataMachine>) { self.replica = replica }

  func close() { worker.shutdown() }

  /// From this index on the image at any record can be made here.
  var firstIndex: UInt64 {
    let firstEntry = replica.historyFirstIndex
    return bases.last { reaches(from: $0, firstEntry) }?.index ?? replica.machine.image.index
  }

  /// The image at a moment that is not still to come.
  func image(at moment: Moment) async throws(RPCError) -> Image {
    if let image = try await present(at: moment) { return image }
    try await begin()
    defer { end() }
    let firstEntry = replica.historyFirstIndex
    for base in candidates(for: moment) where reaches(from: base, firstEntry) || moment == .index(base.index) {
      guard let image = await load(base), isUsable(image, moment) else { continue }
      let made = try await fold(image, until: moment)
      keep(made)
      replaceDamaged()
      return made
    }
    throw tooEarly
  }

  // MARK: - The moment

  /// The committed image, where it is the one at the moment.
  private func present(at moment: Moment) async throws(RPCError) -> Image? {
    switch moment {
    case .index(let index):
      if index < replica.machine.image.index { return nil }
      if index > replica.status.appliedIndex { try await confirm() }
      let applied = replica.status.appliedIndex
      guard index <= applied else {
        throw RPCError(
          .invalidArgument,
          "index \(index) is still to come: the log is at index \(applied), its last record is \(replica.machine.image.index)"
        )
      }
      return index >= replica.machine.image.index ? replica.machine.image : nil
    case .time(let time):
      guard time <= Loop.wallClockMicroseconds() else {
        throw RPCError(.invalidArgument, "the time asked for is still to come, by the clock of this meta node")
      }
      // Records from before that time may have been committed that are not applied here.
      try await confirm()
      let latest = replica.machine.image.tree.latestTimeMicroseconds
      return latest > 0 && latest <= time ? replica.machine.image : nil
    }
  }

  private func confirm() async throws(RPCError) {
    do throws(ReplicaError) { try await replica.readIndex() } catch { throw RPCError(error) }
  }

  private var tooEarly: RPCError {
    RPCError(
      .outOfRange,
      "the history that this meta node keeps reaches back to index \(firstIndex) only; another one's may reach further, as "
        + "may a backup")
  }

  // MARK: - Where to begin

  /// All states that are kept, the latest first.
  private var bases: [Base] {
    var bases = [Base(index: 0, latestTimeMicroseconds: .min, source: .empty)]
    bases += replica.snapshotFiles.map { Base(index: $0.index, source: .file($0.path)) }
    bases += (images?.kept ?? []).map {
      Base(index: $0.index, latestTimeMicroseconds: Self.known($0.latestTimeMicroseconds), source: .archived($0))
    }
    bases += kept.map {
      Base(
        index: $0.index, latestTimeMicroseconds: Self.known($0.tree.latestTimeMicroseconds), source: .image($0))
    }
    return bases.sorted { $0.index > $1.index }
  }

  /// 0 stands for a time that is not known: of images below `FeatureLevel.recordTree`.
  private static func known(_ time: Int64) -> Int64? { time == 0 ? nil : time }

  private var images: ImageArchive? { replica.machine.images }

  private func isBefore(_ base: Base, _ time: Int64) -> Bool { base.latestTimeMicroseconds.map { $0 <= time } ?? false }

  /// Those that are surely before the time, the latest first; then those of which that shows only when they are read.
  private func candidates(before time: Int64) -> [Base] {
    let firstEntry = replica.historyFirstIndex
    let bases = bases.filter { reaches(from: $0, firstEntry) }
    return bases.filter { isBefore($0, time) } + bases.filter { $0.latestTimeMicroseconds == nil }.reversed()
  }

  /// Whether all records after the state are at hand.
  private func reaches(from base: Base, _ firstEntry: UInt64) -> Bool { base.index + 1 >= firstEntry }

  /// States at or before the moment, the best first.
  private func candidates(for moment: Moment) -> [Base] {
    switch moment {
    case .index(let index): return bases.filter { $0.index <= index }
    case .time(let time): return candidates(before: time)
    }
  }

  /// Whether a state is surely not after the moment.
  private func isUsable(_ image: Image, _ moment: Moment) -> Bool {
    guard case .time(let time) = moment, image.index > 0 else { return true }
    return Self.known(image.tree.latestTimeMicroseconds).map { $0 <= time } ?? false
  }

  /// nil where the file is damaged or gone; the next one is used then.
  private func load(_ base: Base) async -> Image? {
    switch base.source {
    case .empty: return Image()
    case .image(let image): return image
    case .archived(let image):
      do { return try await images?.read(image) } catch {
        logger.error("an image along the archive cannot be used: \(error); it is removed")
        damaged.insert(image.index)
        return nil
      }
    case .file(let path):
      do { return try await worker.run { try ImageFile.read(path) } } catch {
        logger.error("a snapshot cannot be used for the history: \(error)")
        return nil
      }
    }
  }

  /// Makes an image along the archive again that was found damaged.
  private func replaceDamaged() {
    guard let index = damaged.popFirst() else { return }
    LoopActor.start { [weak self] in
      guard let self, let image = try? await self.image(at: .index(index)), image.index == index else { return }
      self.images?.keep(image)
      self.logger.notice("the image at index \(index) was made again from the records before it")
    }
  }

  private func keep(_ image: Image) {
    kept.removeAll { $0.index == image.index }
    kept.append(image)
    if kept.count > Self.maximumKept { kept.removeFirst() }
  }

  // MARK: - Folding

  private func fold(_ image: Image, until moment: Moment) async throws(RPCError) -> Image {
    let fold = ImageFold(image, until: moment)
    var last = replica.machine.image.index
    if case .index(let index) = moment { last = min(last, index) }
    var next = image.index + 1
    while next <= last, !fold.isDone {
      let entries: [CommittedEntry]
      do throws(ReplicaError) {
        entries = try await replica.entries(from: next, limitBytes: Self.batchBytes, readsArchive: true)
      } catch {
        if case .compacted = error { throw tooEarly }
        throw RPCError(error)
      }
      guard let end = entries.last?.index else { break }
      do { try await worker.run { try fold.add(entries) } } catch {
        if error is WorkerStopped { throw RPCError(.unavailable, "this meta node is ending") }
        throw RPCError(.dataLoss, "\(error)")
      }
      next = end + 1
    }
    return fold.image
  }

  // MARK: - One at a time

  private func begin() async throws(RPCError) {
    guard isBusy else {
      isBusy = true
      return
    }
    guard waiting.count < Self.maximumWaiting else {
      throw RPCError(.resourceExhausted, "\(waiting.count) images of the past are being waited for already")
    }
    await withUnsafeContinuation { waiting.append($0) }
  }

  private func end() {
    guard !waiting.isEmpty else {
      isBusy = false
      return
    }
    waiting.removeFirst().resume()
  }
}
