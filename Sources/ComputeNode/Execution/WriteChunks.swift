import Metadata
import PostgresWire
import SQLPlan
import SQLTypes

/// What a statement that changes rows has done.
struct WriteOutcome {
  var affected = 0
  /// RETURNING.
  var rows: RowBatch?
  /// Of a mirror table: what was done at each copy.
  private var affectedByShard: [ShardID: Int] = [:]

  /// Nothing yet.
  ///
  /// - Parameter columnCount: of RETURNING; 0: there is none.
  init(columnCount: Int) { rows = columnCount > 0 ? RowBatch(columnCount: columnCount) : nil }

  /// A fragment has changed so many rows.
  mutating func add(_ count: Int, by fragment: Fragment) {
    if !fragment.isCopy { affected += count }
    if fragment.tablets.first?.copies.isEmpty == false { affectedByShard[fragment.shardID, default: 0] += count }
  }

  /// Throws where not as much was done at one copy of a mirror table as at another: it is to be rolled back.
  func checkCopies() throws(SQLError) {
    guard Set(affectedByShard.values).count > 1 else { return }
    let counts = affectedByShard.sorted { $0.key < $1.key }.map { "\($0.value) on shard \($0.key)" }
    throw SQLError(
      .serializationFailure, "could not serialize access: the copies of a mirror table did not change alike",
      detail: "Rows changed: \(counts.joined(separator: ", ")).", hint: "Retry the transaction.")
  }
}

/// A fragment with the rows that it runs for.
struct WriteFragment {
  var fragment: Fragment
  /// Values of ?1, ?2 … per run; none: one run without values.
  var rows: [[StoredValue]]
  /// It is there for the tablet's lock.
  var locksTablet = false

  var locking: WriteLocking { locksTablet ? .tablet : fragment.isKeyed ? .keyedRows : .rows }
}

/// What UPDATE or DELETE by key does.
struct KeyedChanges {
  var fragments: [WriteFragment] = []
  /// Rows that an UPDATE moves to other tablets leave theirs first.
  var removals: [WriteFragment] = []
}

/// A request's fragments, and for the errors the rows that each was made from.
struct WriteChunk {
  var fragments: [ShardFragment] = []
  var sources: [(fragment: WriteFragment, firstRow: Int)] = []
}

/// Fragments cut into requests of about a megabyte, encoded one after another.
struct WriteChunks {
  /// Bytes of values that one request carries.
  private static let requestBytes = 1 << 20

  private let fragments: [WriteFragment]
  private var place = 0
  private var row = 0

  init(_ fragments: [WriteFragment]) { self.fragments = fragments }

  mutating func next() -> WriteChunk? {
    var chunk = WriteChunk()
    var bytes = 0
    while place < fragments.count, bytes < Self.requestBytes {
      let source = fragments[place]
      guard row < source.rows.count else {
        place += 1
        row = 0
        continue
      }
      let first = row
      var parameters: [UInt8] = []
      while row < source.rows.count, row == first || bytes + parameters.count < Self.requestBytes {
        RowCodec.append(source.rows[row], to: &parameters)
        row += 1
      }
      bytes += parameters.count
      chunk.fragments.append(
        ShardFragment(
          tablets: source.fragment.tablets.map { ShardFragment.Tablet(id: $0.tabletID, epoch: $0.epoch) },
          sql: source.fragment.sql, parameters: parameters, parameterColumns: source.rows[first].count,
          parameterRows: row - first, isWrite: true, locking: source.locking,
          resultColumns: source.fragment.columnCount))
      chunk.sources.append((source, first))
    }
    return chunk.fragments.isEmpty ? nil : chunk
  }
}
