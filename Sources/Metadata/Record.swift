/// One committed entry of the metadata log: events that stand or fall together, and who asked for them.
package struct Record: Sendable, Hashable {
  /// Position in the replicated log. Not dense: consensus has entries of its own between records; `previousIndex` links them.
  package var index: UInt64
  package var term: UInt64
  /// The record before this one; 0 at the first.
  package var previousIndex: UInt64
  /// The leader's wall clock, microseconds since 1970-01-01 UTC; for people only, nothing is decided by it.
  package var timeMicroseconds: Int64
  /// Who asked: a role or a node.
  package var principal: String
  package var requestID: RequestID?
  /// The record that made the asker ask.
  package var cause: UInt64?
  package var events: [Event]
  package var previousHash: RecordHash
  /// See `RecordHash.of`.
  package var hash: RecordHash

  package init(
    index: UInt64, term: UInt64, previousIndex: UInt64, timeMicroseconds: Int64, principal: String,
    requestID: RequestID? = nil, cause: UInt64? = nil, events: [Event], previousHash: RecordHash, hash: RecordHash
  ) {
    self.index = index
    self.term = term
    self.previousIndex = previousIndex
    self.timeMicroseconds = timeMicroseconds
    self.principal = principal
    self.requestID = requestID
    self.cause = cause
    self.events = events
    self.previousHash = previousHash
    self.hash = hash
  }
}

extension Record {
  /// Whether it comes next after the image's last record, by index and hash.
  package func continues(_ image: Image) -> Bool {
    previousIndex == image.index && previousHash == image.hash && index > previousIndex
  }
}

/// A client's name for a request: a retry bears the same one and gets the first one's result.
package struct RequestID: Sendable, Hashable {
  /// The client, one name per start of a process; at most `RequestTable.maximumClientLength` bytes.
  package var client: String
  /// Counted by the client from 1.
  package var sequence: UInt64
  package init(client: String, sequence: UInt64) {
    self.client = client
    self.sequence = sequence
  }
}
