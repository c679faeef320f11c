import ArgumentParser
import EventLoop
import FoundationEssentials
import Metadata
import MetadataClient
import SQLTypes

/// `kunlog log head`: what an auditor writes down.
struct LogHeadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "head", abstract: "Print the log's head: what an auditor writes down.",
    discussion: """
      The head stands for every record until now. Later, 'kunlog log prove' shows that a record belongs to it, or that the log of \
      that day continues it, and examples/verify-proof.py checks the proof without Kunlog.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "The head with so many records instead of the latest one.")
  var count: UInt64?

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let head = try await client.head(count: count)
    StandardStream.output.write(json ? try HeadFile(head).json + "\n" : Self.text(head))
  }

  static func text(_ head: LogHead) -> String {
    """
    cluster     \(ByteaText.hexadecimal(head.clusterID.rawValue))
    records     \(head.count), from record \(head.firstIndex) on
    last record \(head.recordIndex)
    chain hash  \(head.chainHash)
    root        \(head.root)

    """
  }
}

/// A head as JSON.
struct HeadFile: Codable, Equatable {
  var clusterID: String
  var count: UInt64
  var recordIndex: UInt64
  var chainHash: String
  var root: String
  var firstIndex: UInt64

  enum CodingKeys: String, CodingKey {
    case clusterID = "cluster_id"
    case count
    case recordIndex = "record_index"
    case chainHash = "chain_hash"
    case root
    case firstIndex = "first_index"
  }

  init(_ head: LogHead) {
    clusterID = ByteaText.hexadecimal(head.clusterID.rawValue)
    count = head.count
    recordIndex = head.recordIndex
    chainHash = head.chainHash.description
    root = head.root.description
    firstIndex = head.firstIndex
  }

  /// From a file that `kunlog log head --json` wrote.
  static func read(_ path: String) throws -> HeadFile {
    do {
      return try JSONDecoder().decode(HeadFile.self, from: Data(try FileSystem.read(path)))
    } catch let error as FileError {
      throw ValidationError("\(error)")
    } catch { throw ValidationError("\(path) holds no head: it is what 'kunlog log head --json' writes.") }
  }

  var json: String { get throws { try ProofText.json(self) } }
}

/// How heads and proofs are written.
enum ProofText {
  static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}
