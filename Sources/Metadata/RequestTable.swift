import HashTreeCollections

/// The results of the latest requests, bounded: per client the last `resultsPerClient`, for the `maximumClients` clients that
/// appended last. Part of the image, hence the same on every replica at every index.
package struct RequestTable: Sendable, Equatable {
  package static let maximumClients = 1024
  package static let resultsPerClient = 1024
  /// Below feature level 2.
  package static let resultsPerClientAtLevel1 = 64
  /// Bytes of a client's name.
  package static let maximumClientLength = 64

  /// The record that was the answer to a request.
  package struct Result: Sendable, Equatable {
    package var sequence: UInt64
    package var index: UInt64
    package init(sequence: UInt64, index: UInt64) {
      self.sequence = sequence
      self.index = index
    }
  }

  package enum Lookup: Sendable, Equatable {
    case new
    /// Asked before: the record that was the answer.
    case answered(index: UInt64)
    /// So old that whether it was asked before is no longer known.
    case forgotten
  }

  package var clients: TreeDictionary<String, RequestHistory> = [:]

  package init() {}

  package func lookup(_ request: RequestID) -> Lookup {
    guard let client = clients[request.client] else { return .new }
    if let index = client.index(of: request.sequence) { return .answered(index: index) }
    return request.sequence <= client.forgottenTo ? .forgotten : .new
  }

  /// - Parameter kept: how many results of a client are kept.
  package mutating func add(_ request: RequestID, index: UInt64, kept: Int = resultsPerClient) {
    clients[request.client, default: RequestHistory()].add(
      Result(sequence: request.sequence, index: index), kept: kept)
    // A record names one client, so last indexes differ and the victim is the same everywhere.
    if clients.count > RequestTable.maximumClients,
      let silent = clients.min(by: { $0.value.lastIndex < $1.value.lastIndex })
    {
      clients[silent.key] = nil
    }
  }
}

/// What one client has asked for.
///
/// Its results are in short pieces, so that one more costs little where an older image shares them.
package struct RequestHistory: Sendable, Equatable {
  private static let pieceLength = 32
  /// By sequence, ascending; no piece is empty. How they are cut has no meaning.
  private var pieces: [[RequestTable.Result]] = []
  private var count = 0
  /// Results up to this sequence are forgotten.
  package private(set) var forgottenTo: UInt64 = 0
  /// Its last record: who has been silent longest is forgotten first.
  package private(set) var lastIndex: UInt64 = 0

  package init() {}

  /// As it was when it had these; results ascend by sequence.
  package init(_ results: [RequestTable.Result], forgottenTo: UInt64, lastIndex: UInt64) {
    for result in results { add(result, kept: .max) }
    self.forgottenTo = forgottenTo
    self.lastIndex = lastIndex
  }

  /// By sequence, ascending.
  package var results: [RequestTable.Result] { Array(pieces.joined()) }

  func index(of sequence: UInt64) -> UInt64? {
    // Who retries asks for what is recent.
    guard let piece = pieces.last(where: { $0[0].sequence <= sequence }) else { return nil }
    return piece.last { $0.sequence <= sequence }.flatMap { $0.sequence == sequence ? $0.index : nil }
  }

  mutating func add(_ result: RequestTable.Result, kept: Int) {
    let position = pieces.lastIndex { $0[0].sequence < result.sequence } ?? 0
    if position == pieces.count - 1, let last = pieces[position].last, last.sequence < result.sequence {
      if pieces[position].count < RequestHistory.pieceLength {
        pieces[position].append(result)
      } else {
        pieces.append([result])
      }
    } else if pieces.isEmpty {
      pieces.append([result])
    } else {
      let place = pieces[position].firstIndex { $0.sequence > result.sequence } ?? pieces[position].count
      pieces[position].insert(result, at: place)
    }
    count += 1
    lastIndex = result.index
    while count > kept {
      forgottenTo = max(forgottenTo, pieces[0].removeFirst().sequence)
      if pieces[0].isEmpty { pieces.removeFirst() }
      count -= 1
    }
  }

  package static func == (left: RequestHistory, right: RequestHistory) -> Bool {
    left.count == right.count && left.forgottenTo == right.forgottenTo && left.lastIndex == right.lastIndex
      && left.pieces.joined().elementsEqual(right.pieces.joined())
  }
}
