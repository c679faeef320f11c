import Metadata
import MetadataWire

/// What the meta nodes replicate, as a value: the fold of the log, the latest records, and at the leader the desk at which
/// appends are decided. No loop, no clock, no file: a meta node and the simulator drive the same code.
///
/// Invariants: the image is the fold of all records up to its index, whose hash it bears; index, state and request table move
/// together. The speculative image continues the image; it exists only between winning and losing the leadership, within which
/// records are committed in the order in which they were proposed.
package struct MetadataState: Sendable {
  /// All committed records that were applied here, folded.
  package private(set) var image = Image()
  /// The latest of those records.
  package private(set) var recent: RecentRecords
  /// Only while this replica leads.
  var leadership: Leadership?
  package let mutants: MetadataMutants
  /// The feature level that this program understands.
  package let understands: UInt32
  /// Only for the mutant `keepsSpeculation`.
  private var stale: Image?

  /// - Parameters:
  ///   - recentBytes: how many bytes of records are kept for subscribers that keep up.
  ///   - mutants: mistakes to make, for the simulator to find; none in production.
  ///   - understands: the feature level of the program; the simulator has older ones beside newer ones.
  package init(recentBytes: Int, mutants: MetadataMutants = [], understands: UInt32 = FeatureLevel.current) {
    self.understands = understands
    recent = RecentRecords(limitBytes: recentBytes)
    self.mutants = mutants
  }

  /// Folds a committed entry in. What the leader itself proposed is not decoded again: that its fold is the one of the bytes is
  /// what the other replicas show.
  ///
  /// What it throws ends the replica: a state that lacks an entry must not go on.
  package mutating func apply(index: UInt64, term: UInt64, body: [UInt8]) throws(ApplyError) {
    if leadership != nil {
      guard let known = leadership?.takeFirst(index: index, term: term) else { throw .notProposed(index: index) }
      assert(known.body == body, "entry \(index) is not what this leader proposed")
      try fold(known.record, body)
      leadership?.settle(image)
    } else {
      try fold(try MetadataState.decode(index: index, term: term, body: body), body)
    }
  }

  /// The same for an entry that was decoded beforehand.
  package mutating func apply(_ record: Record, body: [UInt8]) throws(ApplyError) {
    guard leadership == nil else { return try apply(index: record.index, term: record.term, body: body) }
    try fold(record, body)
  }

  /// The record that a committed entry is. Depends on nothing but the bytes: may be done beforehand, on any thread.
  package static func decode(index: UInt64, term: UInt64, body: [UInt8]) throws(ApplyError) -> Record {
    do throws(WireError) { return try Record(body: body, index: index, term: term) } catch {
      throw .entry(index: index, error)
    }
  }

  private mutating func fold(_ record: Record, _ body: [UInt8]) throws(ApplyError) {
    guard record.continues(image) else {
      throw .brokenChain(index: record.index, previous: record.previousIndex, known: image.index)
    }
    let isOlder = understands < FeatureLevel.newest
    let isSkipping = isOlder && mutants.contains(.skipsUnknownEvents)
    if isOlder, !isSkipping, record.events.contains(where: { $0.featureLevel > understands }) {
      throw .entry(index: record.index, .unknownEvent)
    }
    let element = RecentRecords.Element(record: record, body: body, before: image)
    image.apply(isSkipping ? withoutUnknownEvents(record) : record)
    if mutants.contains(.forgetsRequests) { image.requests = RequestTable() }
    recent.append(element)
    guard image.featureLevel <= understands || isSkipping else { throw .featureLevel(image.featureLevel) }
  }

  /// Only for the mutant `skipsUnknownEvents`.
  private func withoutUnknownEvents(_ record: Record) -> Record {
    var known = record
    known.events.removeAll { $0.featureLevel > understands }
    return known
  }

  /// Replaces the state by a snapshot's. One of a newer level is refused: this program may have left out what it does not know.
  package mutating func restore(_ image: Image) throws(ApplyError) {
    guard image.featureLevel <= understands || mutants.contains(.skipsUnknownEvents) else {
      throw .featureLevel(image.featureLevel)
    }
    self.image = image
    leadership = nil
    recent.removeAll()
  }

  /// Told at each change of this replica's leadership. With `isLeader`, all entries before the term must have been applied.
  package mutating func leadershipChanged(isLeader: Bool, term: UInt64) {
    if mutants.contains(.keepsSpeculation) {
      if let leadership { stale = leadership.speculation }
      leadership = isLeader ? Leadership(term: term, stale ?? image, understands: understands) : nil
      return
    }
    leadership = isLeader ? Leadership(term: term, image, understands: understands) : nil
  }
}

/// Why an entry cannot be applied.
package enum ApplyError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Its bytes are no record that this program knows.
  case entry(index: UInt64, WireError)
  /// It does not continue the record before it.
  case brokenChain(index: UInt64, previous: UInt64, known: UInt64)
  /// It was committed in the term of this leader, who did not propose it: a mistake in consensus.
  case notProposed(index: UInt64)
  /// The cluster is newer than this program.
  case featureLevel(UInt32)

  package var description: String {
    switch self {
    case .entry(let index, let error): "entry \(index) of the metadata log: \(error)"
    case .brokenChain(let index, let previous, let known):
      "entry \(index) of the metadata log continues record \(previous) with a hash other than that of record \(known)"
    case .notProposed(let index):
      "entry \(index) of the metadata log was committed in this leader's term, but not proposed by it"
    case .featureLevel(let level):
      FeatureLevel.outdatedText(level)
    }
  }
}
