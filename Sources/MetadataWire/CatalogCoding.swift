import Metadata
import SQLTypes

// Tables, indexes and tablets, coded by hand: an image has them by the hundred thousand. The bytes are those of the generated code
// (catalog.proto, topology.proto), which still reads and writes what is rare: partitions and partitioned tables, and whatever has a
// field that is not looked for here.

extension Event {
  // Members of `Event` in event.proto.
  private static let tableField: UInt64 = 33
  private static let indexField: UInt64 = 36
  private static let tabletField: UInt64 = 80

  /// Writes the event as a member of a message; false, and nothing, where that is left to the generated code.
  func writeCatalog(_ field: UInt64, to writer: inout WireWriter) -> Bool {
    switch self {
    case .tableCreated(let table):
      guard table.partitioning == nil, table.partition == nil else { return false }
      writer.nested(field) { $0.nested(Event.tableField) { table.write(to: &$0) } }
    case .indexCreated(let index): writer.nested(field) { $0.nested(Event.indexField) { index.write(to: &$0) } }
    case .tabletCreated(let tablet): writer.nested(field) { $0.nested(Event.tabletField) { tablet.write(to: &$0) } }
    default: return false
    }
    return true
  }

  /// The event in a member of `Event`'s union; nil where that is left to the generated code.
  static func catalog(_ field: UInt64, _ bytes: UnsafeRawBufferPointer) throws(WireError) -> Event? {
    switch field {
    case tableField: try TableDefinition(reading: bytes).map { .tableCreated($0) }
    case indexField: try IndexDefinition(reading: bytes).map { .indexCreated($0) }
    case tabletField: try TabletDefinition(reading: bytes).map { .tabletCreated($0) }
    default: nil
    }
  }
}

extension TableDefinition {
  fileprivate func write(to writer: inout WireWriter) {
    writer.integer(1, UInt64(id.rawValue))
    writer.integer(2, UInt64(schemaID.rawValue))
    writer.string(3, name)
    writer.integer(4, UInt64(ownerID.rawValue))
    for column in columns { writer.nested(5) { column.write(to: &$0) } }
    for check in checks {
      writer.nested(6) {
        $0.string(1, check.name)
        $0.string(2, check.expression)
        $0.string(3, check.storageExpression)
      }
    }
    for option in options.sorted(by: { $0.key < $1.key }) {
      writer.nested(9) {
        $0.string(1, option.key)
        $0.string(2, option.value)
      }
    }
    writer.integer(10, version)
  }

  fileprivate init?(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(
      id: ObjectID(rawValue: 0), schemaID: ObjectID(rawValue: 0), name: "", ownerID: ObjectID(rawValue: 0), columns: [],
      version: 0)
    var reader = WireReader(bytes, "table")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .varint): id = ObjectID(rawValue: try reader.uint32())
      case (2, .varint): schemaID = ObjectID(rawValue: try reader.uint32())
      case (3, .bytes): name = try reader.string()
      case (4, .varint): ownerID = ObjectID(rawValue: try reader.uint32())
      case (5, .bytes):
        guard let column = try ColumnDefinition(reading: try reader.slice()) else { return nil }
        columns.append(column)
      case (6, .bytes):
        guard let check = try CheckDefinition(reading: try reader.slice()) else { return nil }
        checks.append(check)
      case (9, .bytes):
        guard let (name, value) = try TableDefinition.option(try reader.slice()) else { return nil }
        options[name] = value
      case (10, .varint): version = try reader.varint()
      default: return nil
      }
    }
  }

  private static func option(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> (String, String)? {
    var (name, value) = ("", "")
    var reader = WireReader(bytes, "option")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .bytes): name = try reader.string()
      case (2, .bytes): value = try reader.string()
      default: return nil
      }
    }
    return (name, value)
  }
}

extension CheckDefinition {
  fileprivate init?(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(name: "", expression: "", storageExpression: "")
    var reader = WireReader(bytes, "check")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .bytes): name = try reader.string()
      case (2, .bytes): expression = try reader.string()
      case (3, .bytes): storageExpression = try reader.string()
      default: return nil
      }
    }
  }
}

extension ColumnDefinition {
  fileprivate func write(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.nested(2) {
      $0.integer(1, UInt64(type.oid))
      $0.integer(2, UInt64(UInt32(bitPattern: type.modifier << 1 ^ type.modifier >> 31)))
    }
    writer.integer(3, isNotNull ? 1 : 0)
    if let defaultExpression { writer.nested(4) { $0.append(defaultExpression) } }
    writer.integer(5, UInt64(Identity.wire(identity).rawValue))
    writer.integer(6, UInt64(sequenceID?.rawValue ?? 0))
  }

  fileprivate init?(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(name: "", type: SQLType(oid: 0, modifier: 0))
    var reader = WireReader(bytes, "column")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .bytes): name = try reader.string()
      case (2, .bytes):
        guard let type = try SQLType(reading: try reader.slice()) else { return nil }
        self.type = type
      case (3, .varint): isNotNull = try reader.varint() != 0
      case (4, .bytes): defaultExpression = try reader.string()
      case (5, .varint):
        switch try reader.varint() {
        case 0: identity = nil
        case 1: identity = .always
        case 2: identity = .byDefault
        default: return nil
        }
      case (6, .varint): sequenceID = objectID(try reader.uint32())
      default: return nil
      }
    }
  }
}

extension SQLType {
  fileprivate init?(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(oid: 0, modifier: 0)
    var reader = WireReader(bytes, "data type")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .varint): oid = try reader.uint32()
      case (2, .varint):
        let zigzag = try reader.uint32()
        modifier = Int32(bitPattern: zigzag >> 1) ^ -Int32(zigzag & 1)
      default: return nil
      }
    }
  }
}

extension IndexDefinition {
  fileprivate func write(to writer: inout WireWriter) {
    writer.integer(1, UInt64(id.rawValue))
    writer.integer(2, UInt64(schemaID.rawValue))
    writer.string(3, name)
    writer.integer(4, UInt64(tableID.rawValue))
    for part in parts {
      writer.nested(5) {
        $0.integer(1, UInt64(UInt32(part.column)))
        $0.integer(2, part.isDescending ? 1 : 0)
        $0.integer(3, part.nullsFirst ? 1 : 0)
      }
    }
    writer.integer(6, isUnique ? 1 : 0)
    writer.integer(7, UInt64(Constraint.wire(constraint).rawValue))
    writer.integer(8, UInt64(parentID?.rawValue ?? 0))
  }

  fileprivate init?(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(
      id: ObjectID(rawValue: 0), schemaID: ObjectID(rawValue: 0), name: "", tableID: ObjectID(rawValue: 0), parts: [],
      isUnique: false)
    var reader = WireReader(bytes, "index")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .varint): id = ObjectID(rawValue: try reader.uint32())
      case (2, .varint): schemaID = ObjectID(rawValue: try reader.uint32())
      case (3, .bytes): name = try reader.string()
      case (4, .varint): tableID = ObjectID(rawValue: try reader.uint32())
      case (5, .bytes):
        guard let part = try Part(reading: try reader.slice()) else { return nil }
        parts.append(part)
      case (6, .varint): isUnique = try reader.varint() != 0
      case (7, .varint):
        switch try reader.varint() {
        case 0: constraint = nil
        case 1: constraint = .primaryKey
        case 2: constraint = .unique
        default: return nil
        }
      case (8, .varint): parentID = objectID(try reader.uint32())
      default: return nil
      }
    }
  }
}

extension IndexDefinition.Part {
  fileprivate init?(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(column: 0)
    var reader = WireReader(bytes, "part of an index")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .varint): column = Int(try reader.uint32())
      case (2, .varint): isDescending = try reader.varint() != 0
      case (3, .varint): nullsFirst = try reader.varint() != 0
      default: return nil
      }
    }
  }
}

extension TabletDefinition {
  fileprivate func write(to writer: inout WireWriter) {
    writer.integer(1, id.rawValue)
    writer.integer(2, UInt64(tableID.rawValue))
    writer.integer(3, UInt64(shardID.rawValue))
    writer.integer(4, epoch)
    writer.integer(5, generation)
    guard !copies.isEmpty else { return }
    writer.nested(6) { for shard in copies { $0.varint(UInt64(shard.rawValue)) } }
  }

  fileprivate init?(reading bytes: UnsafeRawBufferPointer) throws(WireError) {
    self.init(
      id: TabletID(rawValue: 0), tableID: ObjectID(rawValue: 0), shardID: ShardID(rawValue: 0), epoch: 0, generation: 0)
    var reader = WireReader(bytes, "tablet")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .varint): id = TabletID(rawValue: try reader.varint())
      case (2, .varint): tableID = ObjectID(rawValue: try reader.uint32())
      case (3, .varint): shardID = ShardID(rawValue: try reader.uint32())
      case (4, .varint): epoch = try reader.varint()
      case (5, .varint): generation = try reader.varint()
      // Copies of mirror tables among them.
      default: return nil
      }
    }
  }
}
