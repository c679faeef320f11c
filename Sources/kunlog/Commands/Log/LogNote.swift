import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog log note`: a line in the history, beside what happened.
struct LogNote: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "note",
    abstract: "Record a note in the metadata log.",
    discussion: """
      The note stands in the history between the changes around it, with its time and who recorded it, and nobody can alter it
      later. Read notes with: kunlog log show --kind notes
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "What the note belongs to: maintenance, a ticket, a tool's name.")
  var topic = "note"

  @Option(name: .long, help: "Who records it.")
  var principal = "operator"

  @Option(name: .long, help: "The record that the note is about, by its index: 'kunlog log blame' shows it there.")
  var about: UInt64?

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @Argument(help: "The text.")
  var text: String

  func validate() throws {
    guard !topic.isEmpty, topic.utf8.count <= NoteTopic.maximumNameBytes else {
      throw ValidationError("A topic has 1 to \(NoteTopic.maximumNameBytes) bytes.")
    }
    guard text.utf8.count <= NoteTopic.maximumContentBytes else {
      throw ValidationError("A note has at most \(NoteTopic.maximumContentBytes) bytes.")
    }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: principal)
    defer { client.stop() }
    if let about { try Moment.index(about).check(present: client.image.index) }
    let result = try await client.append(
      [.recordNote(topic: topic, content: Array(text.utf8))], principal: principal, cause: about)
    print(json ? "{\"index\": \(result.index)}" : "recorded at index \(result.index)")
  }
}
