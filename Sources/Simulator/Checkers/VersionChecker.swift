import Metadata

/// Each request once, and one winner for each expected version (reliability.md, 10).
struct VersionChecker {
  private struct Request {
    var expected: Client.Expected?
    /// Where its record is; 0: nowhere so far.
    var index: UInt64 = 0
    var isRefused = false
  }
  // By client, by number.
  private var requests: [[Request]] = []
  private var ids: [ObjectID?] = [ObjectID?](repeating: nil, count: World.sequences)
  /// Versions of the sequences, as committed.
  private(set) var current = [UInt64](repeating: 0, count: World.sequences)

  /// The cluster's feature level.
  private(set) var level: UInt32 = 0

  mutating func expect(clients: Int) {
    requests = [[Request]](repeating: [Request(expected: nil)], count: clients)
  }

  /// The identity of a sequence, once it exists.
  func id(of sequence: Int) -> ObjectID? { ids[sequence] }

  /// The first sequence that does not exist so far.
  var firstMissing: Int? { ids.firstIndex { $0 == nil } }

  mutating func asked(client: Int, _ sequence: UInt64, _ expected: Client.Expected?) {
    while requests[client].count <= Int(sequence) { requests[client].append(Request(expected: nil)) }
    requests[client][Int(sequence)].expected = expected
  }

  /// A record is committed; what is wrong with it.
  mutating func committed(_ record: Metadata.Record) -> String? {
    var problem: String?
    if let id = record.requestID, let client = Int(id.client.dropFirst(6)), client < requests.count,
      Int(id.sequence) < requests[client].count
    {
      let request = requests[client][Int(id.sequence)]
      if request.index != 0 {
        problem = "request \(id.sequence) of \(id.client) is in the log at \(request.index) and at \(record.index)"
      } else if request.isRefused {
        problem = "request \(id.sequence) of \(id.client) was refused, but is in the log at \(record.index)"
      } else if let expected = request.expected, current[expected.sequence] != expected.version {
        problem =
          "record \(record.index) expected version \(expected.version) of sequence \(expected.sequence), "
          + "which was at \(current[expected.sequence])"
      }
      requests[client][Int(id.sequence)].index = record.index
    }
    for event in record.events {
      if event.featureLevel > max(1, level) {
        problem = "record \(record.index) holds \(event.kind), the cluster is at feature level \(level)"
      }
      switch event {
      case .clusterCreated(_, _, let first): level = first
      case .featureLevelRaised(let next): level = max(level, next)
      case .sequenceCreated(let sequence):
        guard let number = Int(sequence.name.dropFirst()), number < ids.count else { break }
        ids[number] = sequence.id
        current[number] = record.index
      case .sequenceValueSet(let id, _, _):
        if let number = ids.firstIndex(where: { $0 == id }) { current[number] = record.index }
      default: break
      }
    }
    return problem
  }

  /// Where the request's record is; 0: nowhere so far.
  func index(client: Int, _ sequence: UInt64) -> UInt64 { requests[client][Int(sequence)].index }

  mutating func refused(client: Int, _ sequence: UInt64) { requests[client][Int(sequence)].isRefused = true }
}
