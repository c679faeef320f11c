import Metadata
import ProtocolMetadata
import SQLTypes
import SwiftProtobuf

extension PartitionStrategy {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_PartitionStrategy {
    switch self {
    case .hash: .hash
    case .range: .range
    case .list: .list
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_PartitionStrategy) throws(WireError) {
    switch wire {
    case .hash: self = .hash
    case .range: self = .range
    case .list: self = .list
    case .unspecified, .UNRECOGNIZED: throw .malformed("partition strategy \(wire.rawValue)")
    }
  }
}

extension Partitioning {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Partitioning {
    .with {
      $0.strategy = strategy.wire
      $0.columns = columns.map { UInt32($0) }
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Partitioning) throws(WireError) {
    self.init(strategy: try PartitionStrategy(wire: wire.strategy), columns: wire.columns.map { Int($0) })
  }
}

extension StoredValue {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Value {
    .with {
      switch self {
      case .null: break
      case .integer(let value): $0.integer = value
      case .real(let value): $0.real = value
      case .text(let value): $0.text = value
      case .blob(let value): $0.blob = .init(value)
      }
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Value) {
    switch wire.kind {
    case .integer(let value): self = .integer(value)
    case .real(let value): self = .float(value)
    case .text(let value): self = .text(value)
    case .blob(let value): self = .blob([UInt8](value))
    case nil: self = .null
    }
  }
}

extension PartitionBound {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_PartitionBound {
    .with {
      switch self {
      case .hash(let modulus, let remainder):
        $0.hash = .with {
          $0.modulus = UInt32(clamping: modulus)
          $0.remainder = UInt32(clamping: remainder)
        }
      case .list(let values): $0.list = .with { $0.values = values.map(\.wire) }
      case .range(let from, let to):
        $0.range = .with {
          $0.from = from.map(\.wire)
          $0.to = to.map(\.wire)
        }
      case .standard: $0.standard = .init()
      }
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_PartitionBound) throws(WireError) {
    switch wire.kind {
    case .hash(let hash): self = .hash(modulus: Int(hash.modulus), remainder: Int(hash.remainder))
    case .list(let list): self = .list(list.values.map(StoredValue.init))
    case .range(let range):
      self = .range(
        from: try mapped(range.from, Datum.init(wire:)), to: try mapped(range.to, Datum.init(wire:)))
    case .standard: self = .standard
    case nil: throw .malformed("partition bound")
    }
  }
}

extension PartitionBound.Datum {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_PartitionBound.Datum {
    .with {
      switch self {
      case .minimum: $0.kind = .minimum
      case .maximum: $0.kind = .maximum
      case .value(let value):
        $0.kind = .value
        $0.value = value.wire
      }
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_PartitionBound.Datum) throws(WireError) {
    switch wire.kind {
    case .minimum: self = .minimum
    case .maximum: self = .maximum
    case .value: self = .value(StoredValue(wire: wire.value))
    case .UNRECOGNIZED(let value): throw .malformed("range datum \(value)")
    }
  }
}

extension PartitionMembership {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_PartitionMembership {
    .with {
      $0.parentID = parentID.rawValue
      $0.bound = bound.wire
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_PartitionMembership) throws(WireError) {
    self.init(parentID: ObjectID(rawValue: wire.parentID), bound: try PartitionBound(wire: wire.bound))
  }
}
