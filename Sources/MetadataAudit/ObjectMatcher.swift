import Metadata

/// Finds, record by record, the events that touch an object that an operator has named: those about itself and those about
/// what belongs to it (a table's tablets, indexes, owned sequences and partitions; a shard's tablets).
///
/// A name can have stood for several objects, one after another: each is a life of its own, by its identity.
package struct ObjectMatcher: Sendable {
  /// An event of a record that belongs to a life.
  package struct Touch: Sendable, Equatable {
    /// Position in `lives`.
    package var life: Int
    /// Position in the record's events.
    package var event: Int
    package init(life: Int, event: Int) {
      self.life = life
      self.event = event
    }
  }

  package let reference: ObjectReference
  /// The objects that bore the name, in the order in which they were met.
  package private(set) var lives: [ObjectIdentity] = []
  /// Names of objects of the same kind, for those who have mistyped one.
  package private(set) var otherNames: Set<String> = []

  /// Which lives an object belongs to.
  private var members: [ObjectIdentity: [Int]] = [:]
  private var schemaNames: [ObjectID: String] = [:]

  /// - Parameters:
  ///   - image: of the present, or of before the first record: what bears the name there is a life, with all that belongs to
  ///     it.
  ///   - known: lives that are known already, from an earlier reading.
  package init(_ reference: ObjectReference, image: Image, known: [ObjectIdentity] = []) {
    self.reference = reference
    for identity in known { begin(identity) }
    add(image)
  }

  /// What the image holds: lives of the name, and what belongs to them.
  package mutating func add(_ image: Image) {
    for schema in image.schemas.values { schemaNames[schema.id] = schema.name }
    var events = ImageEvents(image)
    while let some = events.take(1024) { for event in some { _ = learn(event) } }
    for topic in image.notes.keys { _ = learn(.noteRecorded(topic: topic, content: [])) }
  }

  /// The touching events of the next record, in their order.
  package mutating func take(_ record: Record) -> [Touch] {
    var touches: [Touch] = []
    for (position, event) in record.events.enumerated() {
      for life in learn(event) { touches.append(Touch(life: life, event: position)) }
    }
    return touches
  }

  /// Lives that the event touches; takes note of what begins with it.
  private mutating func learn(_ event: Event) -> [Int] {
    if case .schemaCreated(let schema) = event { schemaNames[schema.id] = schema.name }
    let defined = event.definedObject
    if let defined, defined.kind == reference.kind {
      if isMeant(defined) {
        begin(defined.identity)
      } else if otherNames.count < Self.maximumNames {
        otherNames.insert(name(of: defined))
      }
    }
    var touched: Set<Int> = []
    for subject in event.subjects { touched.formUnion(members[subject] ?? []) }
    if let defined {
      let owned = defined.owners.flatMap { members[$0] ?? [] }
      for life in owned where !(members[defined.identity] ?? []).contains(life) {
        members[defined.identity, default: []].append(life)
      }
    }
    return touched.sorted()
  }

  private static let maximumNames = 100_000

  private mutating func begin(_ identity: ObjectIdentity) {
    guard !lives.contains(identity) else { return }
    members[identity, default: []].append(lives.count)
    lives.append(identity)
  }

  private func name(of defined: DefinedObject) -> String {
    guard let schema = defined.schemaID.map({ schemaNames[$0] ?? "\($0)" }) else { return defined.name }
    return schema == "public" ? defined.name : "\(schema).\(defined.name)"
  }

  private func isMeant(_ defined: DefinedObject) -> Bool {
    if reference.name == "\(defined.identity)", UInt64(reference.name) != nil { return true }
    guard defined.name == reference.name else { return false }
    guard reference.isRelation else { return true }
    return defined.schemaID.flatMap { schemaNames[$0] } == reference.schema
  }

  /// Why nothing was found, with names like the one asked for.
  package var notFound: String {
    let asked =
      reference.isRelation && reference.schema != "public" ? "\(reference.schema).\(reference.name)" : reference.name
    let near = NearNames.of(asked, in: otherNames.sorted())
    return "There is no \(reference), and never was, as far as the history reaches."
      + (near.isEmpty ? "" : " Did you mean \(near.joined(separator: ", "))?")
  }
}
