import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog meta image`: the state as a tree.
struct MetaImage: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image",
    abstract: "Look into the state that the metadata log has led to, as into a tree of folders.",
    discussion: """
      A folder is listed: what ends with a slash is a folder itself, everything else is shown with its value.
        kunlog meta image --data DIR
        kunlog meta image /tables/public/t --data DIR
        kunlog meta image /shards/1/replicas --data DIR
        kunlog meta image /migrations --json --at 1200 --data DIR
      """)

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var moment: MomentOptions

  @Flag(name: .long, help: "All that is below the path, as one JSON document on standard output.")
  var json = false

  @Argument(help: "The path: names separated by slashes.")
  var path = "/"

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try Self.show(path, of: try await moment.image(client, cluster), json: json)
  }

  /// Prints what is at a path.
  static func show(_ path: String, of image: Image, json: Bool) throws {
    let node: ImageNode
    do throws(ImageTree.Missing) { node = try ImageTree(image).node(at: path) } catch {
      throw CommandFailure(description: error.description)
    }
    StandardStream.output.write((json ? Self.json(node, "") : Self.text(node)) + "\n")
  }

  /// A folder's children, one a line; the value of anything else.
  static func text(_ node: ImageNode) -> String {
    switch node {
    case .folder(let children):
      let entries = children()
      return entries.isEmpty
        ? "(empty)"
        : entries.map { entry in
          if case .folder = entry.node { return entry.name + "/" }
          let value = text(entry.node)
          return value.isEmpty ? "\(entry.name):" : "\(entry.name): \(value)"
        }.joined(separator: "\n")
    case .text(let text), .number(let text): return text
    case .flag(let flag): return flag ? "yes" : "no"
    case .list(let items): return items.joined(separator: ", ")
    }
  }

  private static func json(_ node: ImageNode, _ indent: String) -> String {
    switch node {
    case .folder(let children):
      let inner = indent + "  "
      let entries = children().map { "\(inner)\(JSONDocument.quoted($0.name)): \(json($0.node, inner))" }
      return entries.isEmpty ? "{}" : "{\n\(entries.joined(separator: ",\n"))\n\(indent)}"
    case .text(let text): return JSONDocument.quoted(text)
    case .number(let digits): return digits
    case .flag(let flag): return flag ? "true" : "false"
    case .list(let items): return "[\(items.map(JSONDocument.quoted).joined(separator: ", "))]"
    }
  }
}
