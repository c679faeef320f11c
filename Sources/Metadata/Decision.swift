import SQLTypes

/// Decides a request against an image: the events that it becomes, or why it is refused. Pure: the same request and image give
/// the same answer everywhere. No events: all is so already, and nothing is to be recorded.
///
/// Whether the request was asked before is not decided here (see `RequestTable.lookup`): a retry has no new decision.
/// - Parameter level: the feature level that the leader's program understands.
package func decide(
  _ request: AppendRequest, _ image: Image, understanding level: UInt32 = FeatureLevel.current
) -> Result<[Event], Rejection> {
  var decision = Decision(image: image, understood: level)
  do throws(Rejection) {
    try decision.check(request)
    for command in request.commands { try decision.decide(command) }
    try decision.checkGroups()
    return .success(decision.events)
  } catch {
    return .failure(error)
  }
}

/// A decision in the making: the events so far, and the image that they would lead to.
struct Decision {
  private(set) var image: Image
  private(set) var events: [Event] = []
  /// The feature level that this program understands.
  let understood: UInt32

  init(image: Image, understood: UInt32 = FeatureLevel.current) {
    self.image = image
    self.understood = understood
  }

  /// Adds an event; what follows is decided against the image after it.
  mutating func emit(_ event: Event) {
    events.append(event)
    // The record's index is not known yet; versions are set when the record is folded.
    image.apply(event, at: image.index + 1)
  }

  /// Adds an event that nothing later in this decision depends on.
  mutating func emitLast(_ event: Event) { events.append(event) }

  /// The next free identity. Taken once an event with it is emitted.
  var nextID: ObjectID { image.nextObjectID }

  func check(_ request: AppendRequest) throws(Rejection) {
    if let id = request.requestID {
      guard !id.client.isEmpty, id.client.utf8.count <= RequestTable.maximumClientLength, id.sequence > 0 else {
        throw Rejection(
          .invalidParameterValue,
          "a request id needs a client of 1 to \(RequestTable.maximumClientLength) bytes and a sequence above 0")
      }
    }
    guard !request.commands.isEmpty else {
      throw Rejection(.invalidParameterValue, "the request holds no command")
    }
    guard image.featureLevel <= understood else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        "the cluster is at feature level \(image.featureLevel), this program understands \(understood)",
        hint: "Run a newer version of kunlog.")
    }
    try checkTransactions(request)
    if let epoch = request.managerEpoch { try checkManagerEpoch(epoch) }
    for precondition in request.preconditions {
      let version = image.versions[precondition.objectID] ?? 0
      guard version == precondition.version else {
        throw Rejection(
          .serializationFailure, "object \(precondition.objectID) has changed since the request was prepared",
          detail: "Expected version \(precondition.version), found \(version).")
      }
    }
  }

  mutating func decide(_ command: Command) throws(Rejection) {
    if case .createCluster(let draft) = command { return try createCluster(draft) }
    guard image.clusterID != nil else {
      throw Rejection(.objectNotInPrerequisiteState, "the cluster has not been created yet")
    }
    if let requirement = command.requirement { try require(requirement.level, requirement.what) }
    switch command {
    case .createCluster: break
    case .setSetting(let name, let value): try setSetting(name, value)
    case .registerNode(let node): try registerNode(node)
    case .updateNodeAddress(let id, let host, let port, let postgresPort):
      try updateNodeAddress(id, host, port, postgresPort)
    case .removeNode(let id): try removeNode(id)
    case .recordNote(let topic, let content): try recordNote(topic, content)
    case .raiseFeatureLevel(let level): try raiseFeatureLevel(level)
    case .createShard(let draft): try createShard(draft)
    case .addReplica(let shard, let node): try addReplica(shard, node)
    case .createSchema(let name, let owner): try createSchema(name, owner)
    case .dropSchema(let id, let isCascade): try dropSchema(id, isCascade)
    case .createTable(let draft): try createTable(draft)
    case .dropTables(let ids, let isCascade): try dropTables(ids, isCascade)
    case .truncateTables(let ids, let restarts): try truncateTables(ids, restarts)
    case .setTableOptions(let id, let set, let reset): try setTableOptions(id, set, reset)
    case .createIndex(let draft): try createIndex(draft)
    case .dropIndexes(let ids, _): try dropIndexes(ids)
    case .createSequence(let draft): try createSequence(draft)
    case .alterSequence(let id, let options): try alterSequence(id, options)
    case .dropSequences(let ids, let isCascade): try dropSequences(ids, isCascade)
    case .reserveSequence(let id, let count): try reserveSequence(id, count)
    case .setSequenceValue(let id, let value, let isCalled): try setSequenceValue(id, value, isCalled)
    case .createView(let draft, let orReplace): try createView(draft, orReplace)
    case .dropViews(let ids, let isCascade): try dropViews(ids, isCascade)
    case .createRole(let draft): try createRole(draft)
    case .alterRole(let id, let change): try alterRole(id, change)
    case .dropRole(let id): try dropRole(id)
    case .transaction(let command): try decide(command)
    case .manager(let command): try decide(command)
    case .migration(let command): try decide(command)
    case .privilege(let command): try decide(command)
    case .materializedView(let command): try decide(command)
    case .function(let command): try decide(command)
    case .schemaChange(let command): try decide(command)
    case .shard(let command): try decide(command)
    case .node(let command): try decide(command)
    }
  }

  /// Refuses what the cluster's programs may not all know.
  func require(_ level: UInt32, _ what: String) throws(Rejection) {
    guard image.featureLevel >= level else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        "\(what) need feature level \(level), and the cluster is at \(image.featureLevel)",
        hint: "Once every process runs this version of kunlog, raise the level: kunlog cluster upgrade.")
    }
  }
}

/// What several decisions need.
extension Decision {
  /// NAMEDATALEN - 1.
  static var nameLengthLimit: Int { 63 }

  func checkName(_ name: String) throws(Rejection) {
    guard !name.isEmpty else { throw Rejection(.syntaxError, "zero-length delimited identifier at or near \"\"\"\"") }
    guard name.utf8.count <= Decision.nameLengthLimit, !name.utf8.contains(0) else {
      throw Rejection(.nameTooLong, "identifier \"\(name)\" is longer than \(Decision.nameLengthLimit) bytes")
    }
  }

  /// The schema for a new relation, whose name must be free there.
  func checkNewRelation(_ name: String, in schemaID: ObjectID) throws(Rejection) {
    try checkName(name)
    guard let schema = image.schemas[schemaID] else {
      throw Rejection(.undefinedObject, "schema with OID \(schemaID) does not exist")
    }
    guard schema.id != WellKnown.catalogSchema else {
      throw Rejection(
        .insufficientPrivilege, "permission denied to create \"pg_catalog.\(name)\"",
        detail: "System catalog modifications are currently disallowed.")
    }
    if image.relationNames[RelationKey(schemaID: schemaID, name: name)] != nil {
      throw Rejection(.duplicateTable, "relation \"\(name)\" already exists")
    }
  }

  func checkRole(_ id: ObjectID) throws(Rejection) {
    guard image.roles[id] != nil else {
      throw Rejection(.undefinedObject, "role with OID \(id) does not exist")
    }
  }

  func table(_ id: ObjectID) throws(Rejection) -> TableDefinition {
    if let table = image.tables[id] { return table }
    if let relation = image.relation(id) {
      throw Rejection(.wrongObjectType, "\"\(relation.name)\" is not a table")
    }
    throw Rejection(.undefinedTable, "relation with OID \(id) does not exist")
  }

  /// A relation's name for a message: with its schema unless that is `public`.
  func displayName(_ name: String, in schemaID: ObjectID) -> String {
    guard schemaID != WellKnown.publicSchema, let schema = image.schemas[schemaID] else {
      return quotedIdentifier(name)
    }
    return quotedIdentifier(schema.name) + "." + quotedIdentifier(name)
  }

  /// The kind and name of a relation as PostgreSQL describes objects: `table t`.
  func description(_ relation: Relation) -> String {
    let kind = image.materializedViews[relation.id] == nil ? relation.kindName : "materialized view"
    return "\(kind) \(displayName(relation.name, in: relation.schemaID))"
  }

  func list<Item>(_ items: [Item], _ text: (Item) -> String) -> String {
    items.map(text).joined(separator: ", ")
  }
}

/// Oids that PostgreSQL fixes.
package enum WellKnown {
  /// The bootstrap superuser.
  package static let firstRole = ObjectID(rawValue: 10)
  package static let catalogSchema = ObjectID(rawValue: 11)
  package static let publicSchema = ObjectID(rawValue: 2200)
  /// Not fixed by PostgreSQL, but below the users' in each cluster that initdb makes.
  package static let informationSchema = ObjectID(rawValue: 13000)
  /// The database `postgres` of PostgreSQL 15.
  package static let firstDatabase = ObjectID(rawValue: 5)
}

extension Relation {
  package var id: ObjectID {
    switch self {
    case .table(let table): table.id
    case .index(let index): index.id
    case .sequence(let sequence): sequence.id
    case .view(let view): view.id
    }
  }

  package var name: String {
    switch self {
    case .table(let table): table.name
    case .index(let index): index.name
    case .sequence(let sequence): sequence.name
    case .view(let view): view.name
    }
  }

  package var schemaID: ObjectID {
    switch self {
    case .table(let table): table.schemaID
    case .index(let index): index.schemaID
    case .sequence(let sequence): sequence.schemaID
    case .view(let view): view.schemaID
    }
  }

  /// What PostgreSQL's messages call it.
  package var kindName: String {
    switch self {
    case .table: "table"
    case .index: "index"
    case .sequence: "sequence"
    case .view: "view"
    }
  }
}

/// An identifier as SQL text needs it: in double quotes unless it is plain lower case.
func quotedIdentifier(_ name: String) -> String {
  let isPlain =
    !name.isEmpty
    && name.utf8.enumerated().allSatisfy { position, byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || byte == UInt8(ascii: "_")
        || (position > 0 && ((UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "$")))
    }
  return isPlain ? name : doubled(name, "\"")
}

/// Text as an SQL literal.
func quotedLiteral(_ text: String) -> String { doubled(text, "'") }

private func doubled(_ text: String, _ quote: Character) -> String {
  var result = String(quote)
  for character in text {
    if character == quote { result.append(quote) }
    result.append(character)
  }
  result.append(quote)
  return result
}
