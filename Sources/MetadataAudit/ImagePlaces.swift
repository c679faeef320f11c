import Metadata

/// What an image's tree (`ImageTree`) holds beside the objects that have a kind of their own (`ObjectKind`): functions, and what is
/// under way or has ended lately. Values by their paths, as `kunlog meta image` shows them.
package enum ImagePlaces {
  /// A value in the tree.
  package struct Value: Sendable, Equatable, Codable {
    /// `/functions/public/f(integer)/body`.
    package var path: String
    package var value: String
    package init(_ path: String, _ value: String) {
      self.path = path
      self.value = value
    }
  }

  /// A value that is not the same in two images.
  package struct Change: Sendable, Equatable, Codable {
    package var path: String
    /// nil where there was none.
    package var before: String?
    /// nil where there is none any more.
    package var after: String?
    package init(_ path: String, before: String?, after: String?) {
      self.path = path
      self.before = before
      self.after = after
    }
  }

  private static let paths = ["/functions", "/transactions/open", "/migrations/ended", "/schema_changes"]
  /// What only keeps the books.
  private static let passedOver: Set<String> = ["version"]

  /// All values, in the tree's order.
  package static func values(_ image: Image) -> [Value] {
    let tree = ImageTree(image)
    var found: [Value] = []
    for path in paths {
      guard let node = try? tree.node(at: path) else { continue }
      collect(node, path, &found)
    }
    return found
  }

  /// What differs, in the tree's order; what is gone comes last.
  package static func changes(from before: Image, to after: Image) -> [Change] {
    let (old, new) = (values(before), values(after))
    let known = Dictionary(old.map { ($0.path, $0.value) }, uniquingKeysWith: { first, _ in first })
    let present = Set(new.map(\.path))
    var changes: [Change] = []
    for value in new where known[value.path] != value.value {
      changes.append(Change(value.path, before: known[value.path], after: value.value))
    }
    for value in old where !present.contains(value.path) {
      changes.append(Change(value.path, before: value.value, after: nil))
    }
    return changes
  }

  /// How many there are, by what they are called.
  package static func counts(_ image: Image) -> [(name: String, plural: String, count: Int)] {
    [
      ("function", "functions", image.functions.count),
      ("open transaction", "open transactions", image.transactions.open.count),
      ("ended migration", "ended migrations", image.migrations.ended.count),
      ("open schema change", "open schema changes", image.schemaChanges.open.count),
      ("ended schema change", "ended schema changes", image.schemaChanges.ended.count),
    ]
  }

  private static func collect(_ node: ImageNode, _ path: String, _ found: inout [Value]) {
    switch node {
    case .folder(let children):
      for entry in children() where !passedOver.contains(entry.name) {
        collect(entry.node, path + "/" + entry.name, &found)
      }
    case .text(let text), .number(let text): found.append(Value(path, text))
    case .flag(let flag): found.append(Value(path, flag ? "yes" : "no"))
    case .list(let items): found.append(Value(path, items.joined(separator: ", ")))
    }
  }
}
