/// Mistakes that the simulator can have this module make, to prove that it would find them (reliability.md).
package struct MetadataMutants: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A retry of a request is carried out twice (jetcd 0.8.2): request ids of applied records are not kept.
  package static let forgetsRequests = MetadataMutants(rawValue: 1 << 0)
  /// A leader that was deposed goes on deciding against what it had in flight.
  package static let keepsSpeculation = MetadataMutants(rawValue: 1 << 1)
  /// A refusal is told before what it was decided against is committed.
  package static let refusesBeforeFinal = MetadataMutants(rawValue: 1 << 2)
  /// A subscriber whose place has been compacted goes on after the gap without the image (etcd #18089, #19179).
  package static let skipsCompactedRecords = MetadataMutants(rawValue: 1 << 3)
  /// A bookmark names one record more than was delivered, so that who resumes there loses it (EventStore #4970).
  package static let bookmarksAhead = MetadataMutants(rawValue: 1 << 4)
  /// A subscriber is given the records again at which a batch ended.
  package static let repeatsBatchEnds = MetadataMutants(rawValue: 1 << 5)
  /// A subscriber that is far behind is served only when nobody else wants anything, which is never (etcd #17529).
  package static let starvesBehind = MetadataMutants(rawValue: 1 << 6)
  /// What a subscriber does not take is read and kept for it all the same (etcd #16839).
  package static let buffersForSlow = MetadataMutants(rawValue: 1 << 7)
  /// An older program leaves out events that it does not know, and goes on.
  package static let skipsUnknownEvents = MetadataMutants(rawValue: 1 << 8)
}
