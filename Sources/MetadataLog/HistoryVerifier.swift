import Metadata
import MetadataWire

/// Follows a history record by record: each must continue the one before it, and states that were kept must be the folds of the
/// records before them.
package struct HistoryVerifier: Sendable {
  /// Why a record is refused.
  package enum Problem: Error, Sendable, Equatable, CustomStringConvertible {
    case undecodable(index: UInt64, String)
    case brokenChain(index: UInt64, previous: UInt64, known: UInt64)

    package var description: String {
      switch self {
      case .undecodable(_, let what): "it is no record: \(what)"
      case .brokenChain(_, let previous, let known):
        previous == known
          ? "it does not continue record \(known): the hash that it names is another"
          : "it continues record \(previous), but the one before it is \(known)"
      }
    }
  }

  /// The fold; nil as long as there is no state to begin with, and after a gap.
  package private(set) var image: Image?
  /// The last record; nil before the first.
  package private(set) var last: (index: UInt64, hash: RecordHash)?
  /// How many records were followed.
  package private(set) var count: UInt64 = 0
  /// The record that comes next need not continue the last one: there is a gap.
  private var isGap = true
  /// Indexes of the tree's records, from its first on; empty where they are not all known.
  package private(set) var treeIndexes: [UInt64] = []

  /// - Parameter image: the state before the first record; nil where it is not known.
  package init(after image: Image? = nil) {
    self.image = image
  }

  /// Takes the next record as it was logged.
  package mutating func add(index: UInt64, term: UInt64, body: [UInt8]) throws(Problem) {
    let record: Record
    do throws(WireError) { record = try Record(body: body, index: index, term: term) } catch {
      gap()
      throw .undecodable(index: index, error.description)
    }
    let known = last
    last = (index, record.hash)
    count += 1
    if let known, !isGap, known.index != record.previousIndex || known.hash != record.previousHash {
      image = nil
      throw .brokenChain(index: index, previous: record.previousIndex, known: known.index)
    }
    isGap = false
    guard image != nil else { return }
    let isNext = image.map(record.continues) ?? false
    guard isNext else {
      let before = image?.index ?? 0
      image = nil
      throw .brokenChain(index: index, previous: record.previousIndex, known: before)
    }
    image?.apply(record)
    if image?.tree.count == UInt64(treeIndexes.count) + 1 { treeIndexes.append(index) }
  }

  /// Records are missing here.
  package mutating func gap() {
    isGap = true
    image = nil
  }

  /// A state that was kept: what is wrong with it, nil where it is the fold, or becomes what is folded on from.
  package mutating func compare(_ kept: Image) -> String? {
    if let image, image.index == kept.index {
      return image == kept ? nil : ImageDifference.text(kept, image).map { "it is not the fold of the records: \($0)" }
    }
    if let last, last.index == kept.index, last.hash != kept.hash {
      return "it bears another hash than record \(kept.index)"
    }
    if image == nil, last == nil || last?.index == kept.index { image = kept }
    return nil
  }
}

/// Where two images differ, in words.
package enum ImageDifference {
  /// nil where they are equal.
  package static func text(_ one: Image, _ other: Image) -> String? {
    guard one != other else { return nil }
    var parts: [String] = []
    func compare(_ name: String, _ isEqual: Bool) { if !isEqual { parts.append(name) } }
    compare("index \(one.index) and \(other.index)", one.index == other.index)
    compare("hash", one.hash == other.hash)
    compare("tree of records", one.tree == other.tree)
    compare("cluster", one.clusterID == other.clusterID && one.clusterName == other.clusterName)
    compare("feature level", one.featureLevel == other.featureLevel)
    compare("settings", one.settings == other.settings)
    compare("nodes", one.nodes == other.nodes && one.removedNodes == other.removedNodes)
    compare("shards", one.shards == other.shards)
    compare("databases", one.databases == other.databases)
    compare("schemas", one.schemas == other.schemas)
    compare("tables", one.tables == other.tables)
    compare("indexes", one.indexes == other.indexes)
    compare("sequences", one.sequences == other.sequences)
    compare("views", one.views == other.views)
    compare("functions", one.functions == other.functions)
    compare("materialized views", one.materializedViews == other.materializedViews)
    compare("roles", one.roles == other.roles)
    compare("privileges", one.grants == other.grants && one.memberships == other.memberships)
    compare("tablets", one.tablets == other.tablets)
    compare("versions", one.versions == other.versions)
    compare("notes", one.notes == other.notes)
    compare("transactions", one.transactions == other.transactions)
    compare("migrations", one.migrations == other.migrations)
    compare("schema changes", one.schemaChanges == other.schemaChanges)
    compare("manager", one.manager == other.manager)
    compare("requests", one.requests == other.requests)
    return parts.isEmpty ? "they differ" : "they differ in: " + parts.joined(separator: ", ")
  }
}
