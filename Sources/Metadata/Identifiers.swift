/// The identity of a catalog object (database, schema, table, index, sequence, view, role): what `pg_class.oid` shows.
/// One counter serves all kinds; the first object of a user gets `ObjectID.firstUser`.
package struct ObjectID: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }
  package static let firstUser = ObjectID(rawValue: 16384)
  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  package var description: String { String(rawValue) }
}

/// A tablet: the rows of one table or one partition, one file at a storage node. Never used twice.
package struct TabletID: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
  package var rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }
  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  package var description: String { String(rawValue) }
}

/// A shard, numbered from 1: what `pg_class.relshardid` shows.
package struct ShardID: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }
  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  package var description: String { String(rawValue) }
}

/// A process of the cluster, of any role. Never used twice, so that a blank disk cannot come back under an old name.
package struct NodeID: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
  package var rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }
  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  package var description: String { String(rawValue) }
}

/// The cluster's random identity, 16 bytes. Every connection and every data directory carries it.
package struct ClusterID: RawRepresentable, Sendable, Hashable {
  package var rawValue: [UInt8]
  package init(rawValue: [UInt8]) { self.rawValue = rawValue }
}
