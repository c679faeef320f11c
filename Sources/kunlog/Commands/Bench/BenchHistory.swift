import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog bench meta history`: images of the past and proofs, one after another, as an auditor asks for them; one line of JSON.
struct BenchHistory: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Ask for images at random earlier indexes and for proofs; print how long they took.")

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "How many images.")
  var images = 50

  @Option(name: .long, help: "How many proofs that a record belongs to the log's head.")
  var proofs = 2000

  func validate() throws {
    guard target.system == .kunlog else { throw ValidationError("etcd has no such history.") }
    guard (0...100_000).contains(images), (0...1_000_000).contains(proofs) else {
      throw ValidationError("--images or --proofs is out of range.")
    }
  }

  private struct Report: Encodable {
    var recordIndex: UInt64
    var records: UInt64
    /// From the request until the client has the image.
    var imageMicroseconds: LatencyRecorder.Summary
    /// From the request until the client has checked the proof.
    var proofMicroseconds: LatencyRecorder.Summary

    enum CodingKeys: String, CodingKey {
      case records
      case recordIndex = "record_index"
      case imageMicroseconds = "image_microseconds"
      case proofMicroseconds = "proof_microseconds"
    }
  }

  @LoopActor
  func run() async throws {
    let client = MetadataClient(
      MetadataClient.Configuration(
        endpoints: try Endpoint.list(target.endpoints).map { MetadataEndpoint(host: $0.host, port: $0.port) },
        tls: target.tls, principal: "bench"))
    defer { client.stop() }
    client.start()
    await client.ready()
    let head = try await client.head()
    let range = head.firstIndex...head.recordIndex
    var random = SystemRandomNumberGenerator()

    var imageTimes = LatencyRecorder()
    for _ in 0..<images {
      let index = UInt64.random(in: range, using: &random)
      let start = Loop.now
      let image = try await client.image(at: .index(index))
      imageTimes.add(Loop.now - start)
      guard image.index <= index else { throw ValidationError("Asked for \(index), got the image at \(image.index).") }
    }
    // Not every index is a record's: the others are entries of consensus itself.
    var proofTimes = LatencyRecorder()
    var attempts = 0
    while proofTimes.count < proofs, attempts < 2 * proofs + 100 {
      attempts += 1
      let start = Loop.now
      do throws(MetadataError) {
        _ = try await client.proof(of: UInt64.random(in: range, using: &random))
        proofTimes.add(Loop.now - start)
      } catch {
        guard case .refused = error else { throw error }
      }
    }
    try printJSON(
      Report(
        recordIndex: head.recordIndex, records: head.count, imageMicroseconds: imageTimes.summary(),
        proofMicroseconds: proofTimes.summary()))
  }
}
