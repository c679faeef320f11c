import EventLoop
import Metadata
import SQLPlan
import SQLTree
import SQLTypes

/// Plans by text, declared parameter types and what else of the session they rest on; shared by the sessions of a node.
/// A plan is checked against the image whenever it is taken. The least recently used go first.
@LoopActor
final class PlanCache {
  struct Key: Hashable {
    var text: String
    var declaredTypes: [UInt32]
    var user: String
    var searchPath: [String]
  }
  struct Entry {
    var tree: Statement
    var analyzed: AnalyzedStatement
    fileprivate var lastUse: UInt64 = 0
    init(tree: Statement, analyzed: AnalyzedStatement) {
      self.tree = tree
      self.analyzed = analyzed
    }
  }

  private static let maximumEntries = 512
  /// Longer texts are seldom sent twice.
  private static let maximumTextBytes = 16 << 10

  private var entries: [Key: Entry] = [:]
  private var uses: UInt64 = 0
  /// Looks that found a plan, and that did not.
  private(set) var hits: UInt64 = 0
  private(set) var misses: UInt64 = 0
  /// Texts that mean something else without their literals, and the image's index at which that was found.
  private var unshared: [String: UInt64] = [:]

  /// The plan, where there is one that holds in the image.
  func plan(_ key: Key, image: Image) -> Entry? {
    guard var entry = entries[key] else {
      misses &+= 1
      return nil
    }
    guard entry.analyzed.isCurrent(in: image) else {
      misses &+= 1
      entries[key] = nil
      return nil
    }
    hits &+= 1
    uses += 1
    entry.lastUse = uses
    // Nothing that it rests on has changed: the next look is a comparison of two numbers.
    entry.analyzed.plannedAtIndex = image.index
    entries[key] = entry
    return entry
  }

  func insert(_ key: Key, _ entry: Entry) {
    guard key.text.utf8.count <= Self.maximumTextBytes else { return }
    uses += 1
    var entry = entry
    entry.lastUse = uses
    entries[key] = entry
    if entries.count > Self.maximumEntries { evict() }
  }

  /// Plans that are kept.
  var count: Int { entries.count }

  /// Whether the text was found to need its literals, at the image's index.
  func isUnshared(_ text: String, image: Image) -> Bool { unshared[text] == image.index }

  /// The text is not to be tried without its literals again, until something changes.
  func refuse(_ text: String, image: Image) {
    if unshared.count >= Self.maximumEntries { unshared = [:] }
    unshared[text] = image.index
  }

  /// Drops the half that was not used for longest: rare, so a walk over all is cheap on average.
  private func evict() {
    let median = entries.values.map(\.lastUse).sorted()[entries.count / 2]
    entries = entries.filter { $0.value.lastUse > median }
  }
}
