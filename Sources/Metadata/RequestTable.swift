import HashTreeCollections

/// The results of the latest requests, bounded: per client the last `resultsPerClient`, for the `maximumClients` clients that
/// appended last. Part of the image, hence the same on every replica at every index.
package struct RequestTable: Sendable, Equatable {
  package static let maximumClients = 1024
  package static let resultsPerClient = 64
  /// Bytes of a client's name.
  package static let maximumClientLength = 64

  /// What one client has asked for.
  package struct Client: Sendable, Equatable {
    package struct Result: Sendable, Equatable {
      package var sequence: UInt64
      /// The record that was the answer.
      package var index: UInt64
      package init(sequence: UInt64, index: UInt64) {
        self.sequence = sequence
        self.index = index
      }
    }
    /// By sequence, ascending.
    package var results: [Result] = []
    /// Results up to this sequence are forgotten.
    package var forgottenTo: UInt64 = 0
    /// Its last record: who has been silent longest is forgotten first.
    package var lastIndex: UInt64 = 0
    package init() {}
  }

  package enum Lookup: Sendable, Equatable {
    case new
    /// Asked before: the record that was the answer.
    case answered(index: UInt64)
    /// So old that whether it was asked before is no longer known.
    case forgotten
  }

  package var clients: TreeDictionary<String, Client> = [:]

  package init() {}

  package func lookup(_ request: RequestID) -> Lookup {
    guard let client = clients[request.client] else { return .new }
    if let result = client.results.first(where: { $0.sequence == request.sequence }) {
      return .answered(index: result.index)
    }
    return request.sequence <= client.forgottenTo ? .forgotten : .new
  }

  package mutating func add(_ request: RequestID, index: UInt64) {
    var client = clients[request.client] ?? Client()
    let position = client.results.firstIndex { $0.sequence > request.sequence } ?? client.results.count
    client.results.insert(Client.Result(sequence: request.sequence, index: index), at: position)
    if client.results.count > RequestTable.resultsPerClient {
      client.forgottenTo = max(client.forgottenTo, client.results.removeFirst().sequence)
    }
    client.lastIndex = index
    clients[request.client] = client
    // A record names one client, so last indexes differ and the victim is the same everywhere.
    if clients.count > RequestTable.maximumClients,
      let silent = clients.min(by: { $0.value.lastIndex < $1.value.lastIndex })
    {
      clients[silent.key] = nil
    }
  }
}
