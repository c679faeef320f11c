import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// `kunlog log blame`: who did what to an object, when and why.
struct LogBlame: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "blame", abstract: "Show every event that touched an object: when, who, why, what.",
    discussion: """
      Names an object by its kind and its name (or number): table public.t, view v, sequence s, index i, schema s, database d, \
      role r, shard 2, node compute-1, tablet 7, setting NAME, topic NAME, cluster.
      To the history of a table belong those of its tablets, indexes, owned sequences and partitions; to that of a shard its \
      tablets. Where a name was used again after a drop, each object that bore it is shown for itself.
      A note can say why: kunlog log note --about INDEX TEXT.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @Argument(help: "The object: KIND NAME.")
  var object: [String]

  func validate() throws { _ = try reference() }

  private func reference() throws -> ObjectReference {
    do throws(ObjectReference.Malformed) { return try ObjectReference(words: object) } catch {
      throw ValidationError(error.description)
    }
  }

  @LoopActor
  func run() async throws {
    let reference = try reference()
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let tls = try cluster.tls()
    let image = client.image
    // First which objects bore the name, then what happened to them: an object may have got its name late.
    var matcher = ObjectMatcher(reference, image: image)
    var names = ObjectNames(image)
    try await LogHistory.read(client, tls: tls, from: nil) { record in
      guard record.index <= image.index else { return false }
      _ = matcher.take(record)
      names.learn(record)
      return true
    }
    var history = ObjectHistory(reference, image: image, known: matcher.lives)
    try await LogHistory.read(client, tls: tls, from: nil, isQuiet: true) { record in
      guard record.index <= image.index else { return false }
      history.take(record)
      return true
    }
    var causes: [Record] = []
    for index in history.causes {
      try await LogHistory.read(client, tls: tls, from: index, isQuiet: true) { record in
        if record.index == index { causes.append(record) }
        return false
      }
    }
    history.explain(causes)
    let lives = history.existing
    guard !lives.isEmpty else { throw CommandFailure(description: matcher.notFound) }
    StandardStream.output.write(
      (json ? BlameReport.json(reference, lives) : BlameReport.text(reference, lives, names)) + "\n")
  }
}

/// An object's history, for people and as JSON.
enum BlameReport {
  static func text(_ reference: ObjectReference, _ lives: [ObjectHistory.Life], _ names: ObjectNames) -> String {
    lives.map { life in
      var head = "\(reference)"
      if "\(life.identity)" != reference.name, reference.kind != .cluster { head += " (\(life.identity))" }
      head += life.createdAt.map { ": created at \($0)" } ?? ": from before the history"
      head += life.droppedAt.map { ", dropped at \($0)" } ?? ""
      return ([head] + life.entries.map { text($0, names) }).joined(separator: "\n")
    }.joined(separator: "\n\n")
  }

  private static func text(_ entry: ObjectHistory.Entry, _ names: ObjectNames) -> String {
    var lines = [RecordText.text(entry.record, names)]
    if let cause = entry.cause {
      let events = cause.events.map { "\($0.kind) \(EventText.text($0, names))" }.joined(separator: "; ")
      lines.append("    because of \(cause.index) by \(cause.principal): \(events)")
    }
    for note in entry.notes {
      for case .noteRecorded(let topic, let content) in note.events {
        lines.append(
          "    note at \(note.index) by \(note.principal): "
            + EventText.text(.noteRecorded(topic: topic, content: content), names))
      }
    }
    return lines.joined(separator: "\n")
  }

  static func json(_ reference: ObjectReference, _ lives: [ObjectHistory.Life]) -> String {
    let all = lives.map { life in
      var fields = ["\"id\":\(JSONDocument.quoted("\(life.identity)"))"]
      if let index = life.createdAt { fields.append("\"created_at\":\(index)") }
      if let index = life.droppedAt { fields.append("\"dropped_at\":\(index)") }
      fields.append("\"entries\":[\n\(life.entries.map(json).joined(separator: ",\n"))\n]")
      return "{\(fields.joined(separator: ","))}"
    }
    return "{\"object\":\(JSONDocument.quoted("\(reference)")),\"lives\":[\(all.joined(separator: ",\n"))]}"
  }

  private static func json(_ entry: ObjectHistory.Entry) -> String {
    var fields = ["\"record\":\(RecordJSON.text(entry.record))"]
    if let cause = entry.cause { fields.append("\"cause\":\(RecordJSON.text(cause))") }
    if !entry.notes.isEmpty { fields.append("\"notes\":[\(entry.notes.map(RecordJSON.text).joined(separator: ","))]") }
    return "{\(fields.joined(separator: ","))}"
  }
}
