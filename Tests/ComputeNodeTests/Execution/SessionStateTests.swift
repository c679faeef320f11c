import ComputeNode
import EventLoop
import PostgresWire
import SQLTypes
import Testing

@Suite @LoopActor struct SessionStateTests {
  @Test func `Settings are shown as PostgreSQL shows them`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("set statement_timeout = 1500; show statement_timeout")
    #expect(cluster.rows == [[.text("1500ms")]])
    try await cluster.run("set statement_timeout to '2min'; show statement_timeout")
    #expect(cluster.rows == [[.text("2min")]])
    try await cluster.run("show transaction isolation level")
    #expect(cluster.rows == [[.text("read committed")]])
    try await cluster.run("set search_path to app, \"Odd Name\", public; show search_path")
    #expect(cluster.rows == [[.text("app, \"Odd Name\", public")]])
  }

  @Test func `Time zones are those of the system`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("set time zone 'Europe/Berlin'; show timezone")
    #expect(cluster.rows == [[.text("Europe/Berlin")]])
    #expect(cluster.client.settings["TimeZone"] == "Europe/Berlin")
    #expect(await cluster.failure("set time zone 'Europe/../Berlin'")?.sqlState == .invalidParameterValue)
    try await cluster.run("reset timezone; show timezone")
    #expect(cluster.rows == [[.text("UTC")]])
  }

  @Test func `An unknown setting is refused, a custom one is kept`() async throws {
    let cluster = try await FakeCluster()
    #expect(
      await cluster.failure("set nonsense = 1")
        == SQLError(.undefinedObject, "unrecognized configuration parameter \"nonsense\""))
    try await cluster.run("set app.name = 'x'; show app.name")
    #expect(cluster.rows == [[.text("x")]])
    #expect(await cluster.failure("set server_version = '9'")?.sqlState == .cantChangeRuntimeParameter)
    #expect(await cluster.failure("set client_encoding = 'LATIN1'")?.sqlState == .featureNotSupported)
  }

  @Test func `Reported settings reach the client when the session opens and when they change`() async throws {
    let cluster = try await FakeCluster()
    #expect(cluster.client.settings["server_encoding"] == "UTF8")
    #expect(cluster.client.settings["is_superuser"] == "on")
    try await cluster.run("set application_name = 'test'")
    #expect(cluster.client.settings["application_name"] == "test")
  }

  @Test func `A failed block undoes SET, and SET LOCAL ends with its transaction`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("begin; set work_mem = '1MB'; rollback; show work_mem")
    #expect(cluster.rows == [[.text("256MB")]])
    try await cluster.run("begin; set local work_mem = '2MB'")
    try await cluster.run("show work_mem")
    #expect(cluster.rows == [[.text("2MB")]])
    try await cluster.run("commit; show work_mem")
    #expect(cluster.rows == [[.text("256MB")]])
  }

  @Test func `A failed block takes nothing but its end`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("begin")
    #expect(cluster.session?.transactionStatus == .inTransaction)
    #expect(await cluster.failure("show nonsense")?.sqlState == .undefinedObject)
    #expect(cluster.session?.transactionStatus == .failed)
    #expect(
      await cluster.failure("show work_mem")
        == SQLError(
          .inFailedSQLTransaction, "current transaction is aborted, commands ignored until end of transaction block"))
    #expect(try await cluster.run("commit") == "ROLLBACK")
    #expect(cluster.session?.transactionStatus == .idle)
  }

  @Test func `Transaction commands outside and inside of a block warn`() async throws {
    let cluster = try await FakeCluster()
    #expect(try await cluster.run("commit") == "COMMIT")
    #expect(try await cluster.run("begin") == "BEGIN")
    #expect(try await cluster.run("begin") == "BEGIN")
    #expect(
      cluster.client.notices.map(\.fields.message) == [
        "there is no transaction in progress", "there is already a transaction in progress",
      ])
  }

  @Test func `A failed block goes on from a savepoint, with the settings of that moment`() async throws {
    let cluster = try await FakeCluster()
    #expect(
      await cluster.failure("savepoint a")
        == SQLError(.noActiveSQLTransaction, "SAVEPOINT can only be used in transaction blocks"))
    try await cluster.run("begin; set work_mem = '2MB'; savepoint a; set work_mem = '3MB'")
    #expect(
      await cluster.failure("rollback to b")
        == SQLError(.invalidSavepointSpecification, "savepoint \"b\" does not exist"))
    #expect(cluster.session?.transactionStatus == .failed)
    #expect(await cluster.failure("release a")?.sqlState == .inFailedSQLTransaction)
    #expect(try await cluster.run("rollback to a") == "ROLLBACK")
    #expect(cluster.session?.transactionStatus == .inTransaction)
    try await cluster.run("show work_mem")
    #expect(cluster.rows == [[.text("2MB")]])
    #expect(try await cluster.run("release a") == "RELEASE")
    #expect(await cluster.failure("rollback to a")?.sqlState == .invalidSavepointSpecification)
  }

  @Test func `SERIALIZABLE is refused rather than weakened`() async throws {
    let cluster = try await FakeCluster()
    #expect(await cluster.failure("begin isolation level serializable")?.sqlState == .featureNotSupported)
    try await cluster.run("begin isolation level repeatable read read only; show transaction_isolation")
    #expect(cluster.rows == [[.text("repeatable read")]])
    #expect(
      await cluster.failure("create table t (a int)")
        == SQLError(.readOnlySQLTransaction, "cannot execute CREATE TABLE in a read-only transaction"))
  }

  @Test func `A client that may not log in gets no session`() async throws {
    let cluster = try await FakeCluster()
    let factory = try #require(cluster.factory)
    await #expect(throws: SQLError(.invalidCatalogName, "database \"x\" does not exist")) {
      _ = try await factory.makeSession(user: "abc", database: "x", parameters: [], client: cluster.client)
    }
    try await cluster.run("create role quiet")
    await #expect(
      throws: SQLError(.invalidAuthorizationSpecification, "role \"quiet\" is not permitted to log in")
    ) {
      _ = try await factory.makeSession(user: "quiet", database: "postgres", parameters: [], client: cluster.client)
    }
  }
}
