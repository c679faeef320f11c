import ArgumentParser
import EventLoop
import FoundationEssentials
import Metadata
import MetadataClient

/// `kunlog log prove`: a proof that a third party can check.
struct LogProve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prove",
    abstract: "Prove that a record belongs to the log, or that the log continues an earlier head.",
    discussion: """
      kunlog log prove 1234 --head head.json    record 1234 belongs to the log of that head
      kunlog log prove --from head.json         the log of today continues that of the head
      The proof goes to standard output, as JSON. examples/verify-proof.py checks it with nothing but Python.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Argument(help: "The record's index.")
  var index: UInt64?

  @Option(
    name: .long, help: "File with the head that the proof leads to ('kunlog log head --json'); default: the latest one."
  )
  var head: String?

  @Option(name: .long, help: "File with an earlier head: prove that the log of the other one continues it.")
  var from: String?

  func validate() throws {
    guard (index == nil) != (from == nil) else {
      throw ValidationError("Say what is to be proved: the index of a record, or an earlier head (--from FILE).")
    }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let wanted = try head.map(HeadFile.read)
    if let index {
      let proof = try await client.proof(of: index, count: wanted?.count)
      try Self.check(wanted, is: proof.head)
      StandardStream.output.write(try ProofText.json(RecordProofFile(proof)) + "\n")
    } else if let from {
      let earlier = try HeadFile.read(from)
      let proof = try await client.consistency(from: earlier.count, to: wanted?.count)
      try Self.check(earlier, is: proof.first)
      try Self.check(wanted, is: proof.second)
      StandardStream.output.write(try ProofText.json(ConsistencyProofFile(proof)) + "\n")
    }
  }

  private static func check(_ wanted: HeadFile?, is head: LogHead) throws {
    guard let wanted, wanted != HeadFile(head) else { return }
    throw LogDamaged(
      description: """
        The cluster's log is not the one of the head that was given: with \(wanted.count) records its root is \(head.root), \
        the head says \(wanted.root). Either it belongs to another cluster, or history was changed.
        """)
  }
}

/// A `RecordProof` as JSON.
struct RecordProofFile: Codable {
  struct SealedRecord: Codable {
    var index: UInt64
    var term: UInt64
    var hash: String
    /// As it was logged (`RecordBody` in record.proto), in base64.
    var body: Data
  }
  var head: HeadFile
  var record: SealedRecord
  var leaf: UInt64
  var path: [String]

  init(_ proof: RecordProof) {
    head = HeadFile(proof.head)
    record = SealedRecord(
      index: proof.record.index, term: proof.record.term, hash: proof.record.hash.description, body: Data(proof.body))
    leaf = proof.leaf
    path = proof.path.map(\.description)
  }
}

/// A `ConsistencyProof` as JSON.
struct ConsistencyProofFile: Codable {
  var first: HeadFile
  var second: HeadFile
  var path: [String]

  init(_ proof: ConsistencyProof) {
    first = HeadFile(proof.first)
    second = HeadFile(proof.second)
    path = proof.path.map(\.description)
  }
}
