import Metadata
import SQLTypes
import Testing

/// GRANT and REVOKE.
@Suite struct PrivilegeTests {
  private func cluster() throws -> (Fixture, table: ObjectID, a: ObjectID, b: ObjectID) {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t")), .createRole(RoleDraft(name: "a")), .createRole(RoleDraft(name: "b")))
    return (
      fixture, try fixture.id("t"), try #require(fixture.image.role(named: "a")).id,
      try #require(fixture.image.role(named: "b")).id
    )
  }

  @Test func whatIsGrantedToARoleItsMembersAndEverybodyAddsUp() throws {
    var (fixture, table, a, b) = try cluster()
    #expect(fixture.image.privileges(of: b, on: table) == [])
    try fixture.append(
      .privilege(.grant([.select, .insert], on: [table], to: [a], withGrantOption: false)),
      .privilege(.grant(.update, on: [table], to: [nil], withGrantOption: false)))
    #expect(fixture.image.privileges(of: a, on: table) == [.select, .insert, .update])
    #expect(fixture.image.privileges(of: b, on: table) == .update)
    try fixture.append(.privilege(.grantRoles([a], to: [b], withAdminOption: false)))
    #expect(fixture.image.privileges(of: b, on: table) == [.select, .insert, .update])
    try fixture.append(.privilege(.revokeRoles([a], from: [b], adminOptionOnly: false)))
    #expect(fixture.image.privileges(of: b, on: table) == .update)
    #expect(fixture.image.privileges(of: WellKnown.firstRole, on: table) == PrivilegeTarget.table.all)
  }

  @Test func aGrantAndItsOptionAreTakenBackOneByOne() throws {
    var (fixture, table, a, _) = try cluster()
    try fixture.append(.privilege(.grant([.select, .delete], on: [table], to: [a], withGrantOption: true)))
    #expect(try fixture.append(.privilege(.grant(.select, on: [table], to: [a], withGrantOption: true))) == [])
    #expect(
      try fixture.append(.privilege(.revoke(.select, on: [table], from: [a], grantOptionOnly: true))) == [
        .privilege(
          .changed(
            PrivilegeGrant(
              objectID: table, grantee: a, privileges: [.select, .delete], grantOptions: .delete)))
      ])
    try fixture.append(.privilege(.revoke(nil, on: [table], from: [a], grantOptionOnly: false)))
    #expect(fixture.image.grants[table] == nil)
  }

  @Test func privilegesThatAKindDoesNotKnowAreRefused() throws {
    let (fixture, table, a, _) = try cluster()
    let rejection = fixture.rejection(.privilege(.grant(.execute, on: [table], to: [a], withGrantOption: false)))
    #expect(rejection?.sqlState.rawValue == "0LP01")
    #expect(rejection?.message == "invalid privilege type EXECUTE for table")
    #expect(rejection?.hint == "A table knows SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER.")
    #expect(
      fixture.rejection(.privilege(.grant(nil, on: [table], to: [nil], withGrantOption: true)))?.message
        == "grant options can only be granted to roles")
    #expect(
      fixture.rejection(.privilege(.grant(nil, on: [ObjectID(rawValue: 1)], to: [a], withGrantOption: false)))?.message
        == "object with OID 1 does not exist")
  }

  @Test func membershipHasNoCircles() throws {
    var (fixture, _, a, b) = try cluster()
    try fixture.append(.privilege(.grantRoles([a], to: [b], withAdminOption: false)))
    let rejection = fixture.rejection(.privilege(.grantRoles([b], to: [a], withAdminOption: false)))
    #expect(rejection?.message == "role \"b\" is a member of role \"a\"")
    #expect(fixture.rejection(.privilege(.grantRoles([a], to: [a], withAdminOption: false))) != nil)
  }

  @Test func aRoleWithPrivilegesIsNotDroppedAndItsMembershipsEndWithIt() throws {
    var (fixture, table, a, b) = try cluster()
    try fixture.append(
      .privilege(.grant(.select, on: [table], to: [a], withGrantOption: false)),
      .privilege(.grantRoles([a], to: [b], withAdminOption: false)))
    #expect(fixture.rejection(.dropRole(a))?.detail == "privileges for table t")
    try fixture.append(.privilege(.revoke(nil, on: [table], from: [a], grantOptionOnly: false)))
    #expect(
      try fixture.append(.dropRole(a)) == [.privilege(.roleRevoked(role: a, member: b)), .roleDropped(a)])
    #expect(fixture.image.memberships.isEmpty)
  }

  @Test func privilegesEndWithTheirObject() throws {
    var (fixture, table, a, _) = try cluster()
    try fixture.append(.privilege(.grant(.select, on: [table], to: [a], withGrantOption: false)))
    try fixture.append(.dropTables([table], isCascade: false))
    #expect(fixture.image.grants.isEmpty)
    try fixture.append(.dropRole(a))
  }
}

@Suite struct MaterializedViewTests {
  @Test func aMaterializedViewIsATableWithAQuery() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t")))
    let source = try fixture.id("t")
    try fixture.append(
      .materializedView(.create(draft("mv"), query: "SELECT id FROM t", dependencies: [source, source])))
    let id = try fixture.id("mv")
    #expect(
      fixture.image.materializedViews[id]
        == MaterializedViewDefinition(tableID: id, query: "SELECT id FROM t", dependencies: [source]))
    #expect(fixture.image.tablet(of: id) != nil)
    try fixture.append(.materializedView(.refresh(id, isPopulated: true, asOf: 12)))
    #expect(fixture.image.materializedViews[id]?.refreshedIndex == 12)
    #expect(try fixture.append(.materializedView(.refresh(id, isPopulated: true, asOf: 12))) == [])
    #expect(fixture.rejection(.dropTables([id], isCascade: false))?.message == "\"mv\" is not a table")
    #expect(fixture.rejection(.truncateTables([id], restartsSequences: false))?.message == "\"mv\" is not a table")
    #expect(
      fixture.rejection(.materializedView(.drop([source], isCascade: false)))?.message
        == "\"t\" is not a materialized view")
    #expect(
      fixture.rejection(.dropTables([source], isCascade: false))?.detail == "materialized view mv depends on table t")
    try fixture.append(.dropTables([source], isCascade: true))
    #expect(fixture.image.materializedViews.isEmpty)
    #expect(fixture.image.tablets.isEmpty)
  }
}

@Suite struct FunctionTests {
  @Test func functionsAreToldApartByTheTypesOfTheirArguments() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.function(.create(sqlFunction("f"), orReplace: false)))
    #expect(
      fixture.rejection(.function(.create(sqlFunction("f"), orReplace: false)))?.message
        == "function \"f\" already exists with same argument types")
    var other = sqlFunction("f")
    other.arguments[0].type = .text
    try fixture.append(.function(.create(other, orReplace: false)))
    #expect(fixture.image.functions.values.map(\.signature).sorted() == ["f(integer)", "f(text)"])
    let first = try #require(fixture.image.functionNames[sqlFunction("f").key])
    try fixture.append(.function(.create(sqlFunction("f", body: "SELECT 9"), orReplace: true)))
    #expect(fixture.image.functions[first]?.body == "SELECT 9")
    let rejection = fixture.rejection(.function(.create(sqlFunction("f", result: .text), orReplace: true)))
    #expect(rejection?.sqlState.rawValue == "42P13")
    #expect(rejection?.hint == "Use DROP FUNCTION f(integer) first.")
    try fixture.append(.function(.drop([first])))
    #expect(fixture.image.functionNames.count == 1)
    #expect(fixture.rejection(.function(.drop([first])))?.sqlState.rawValue == "42883")
  }

  @Test func aSchemaTakesItsFunctionsWithIt() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createSchema(name: "s", ownerID: WellKnown.firstRole))
    let schema = try #require(fixture.image.schema(named: "s")).id
    var function = sqlFunction("f")
    function.schemaID = schema
    try fixture.append(.function(.create(function, orReplace: false)))
    #expect(
      fixture.rejection(.dropSchema(schema, isCascade: false))?.detail
        == "function f(integer) depends on schema s")
    try fixture.append(.dropSchema(schema, isCascade: true))
    #expect(fixture.image.functions.isEmpty)
  }
}

@Suite struct SchemaChangeTests {
  private let id = SchemaChangeID(rawValue: 1)

  @Test func stepsAreDoneInOrderAndTheLastCompletesTheChange() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t")))
    let table = try fixture.id("t")
    try fixture.append(.schemaChange(.plan(table, text: "ALTER TABLE t", steps: ["add", "fill"])))
    #expect(fixture.image.oldestHeldIndex == fixture.image.index)
    #expect(
      fixture.rejection(.schemaChange(.plan(table, text: "", steps: ["x"])))?.detail
        == "It is schema change 1 of object \(table), 0 of 2 steps done.")
    #expect(
      fixture.rejection(.schemaChange(.completeStep(id, step: 2)))?.message
        == "step 2 does not come next in schema change 1, which has done 0 of 2")
    try fixture.append(.schemaChange(.completeStep(id, step: 1)))
    #expect(try fixture.append(.schemaChange(.completeStep(id, step: 1))) == [])
    #expect(
      try fixture.append(.schemaChange(.completeStep(id, step: 2))) == [
        .schemaChange(.stepDone(id, step: 2)), .schemaChange(.completed(id)),
      ])
    #expect(fixture.image.oldestHeldIndex == nil)
    #expect(fixture.rejection(.schemaChange(.fail(id, reason: "")))?.message == "schema change 1 has ended: completed")
  }

  @Test func aChangeEndsWithItsObject() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t")))
    let table = try fixture.id("t")
    try fixture.append(.schemaChange(.plan(table, text: "ALTER TABLE t", steps: ["add"])))
    try fixture.append(.dropTables([table], isCascade: false))
    #expect(fixture.image.schemaChanges.ended[id]?.reason == "the object was dropped")
    #expect(fixture.image.schemaChanges.ofObject.isEmpty)
  }
}
