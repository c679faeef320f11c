import SQLTypes
import Testing

@testable import PostgresWire

private typealias Step = SessionMachine.Step

private let columns = [ResultColumn(name: "a", type: .text)]
private let error = SQLError(.divisionByZero, "division by zero")

/// A machine with the unnamed statement `SELECT $1` prepared as number 1.
private func preparedMachine() -> SessionMachine {
  var machine = SessionMachine()
  _ = machine.receive(.parse(ParseMessage(name: "", sql: "SELECT $1")))
  _ = machine.parsed(parameterTypes: [.text], columns: columns)
  return machine
}

private func bind(_ portal: String = "", values: [[UInt8]?] = [[0x78]]) -> FrontendMessage {
  .bind(BindMessage(portal: portal, parameters: ParameterBytes(values)))
}

@Suite("Simple query")
struct SimpleQueryTests {
  @Test("One statement is told that it ends the transaction, and one ReadyForQuery follows")
  func runsOne() throws {
    var machine = SessionMachine()
    #expect(machine.receive(.query("SELECT 1")) == Step(effect: .split("SELECT 1")))
    #expect(machine.querySplit(count: 1) == Step(effect: .runSimple(index: 0, endsTransaction: true)))
    #expect(try machine.rowsBegin(columns) == [.rowDescription(columns, formats: [])])
    #expect(
      machine.rowsEnded(tag: "SELECT 1", status: .idle)
        == Step(replies: [.commandComplete(tag: "SELECT 1")], effect: .commit))
    #expect(machine.transactionEnded(status: .idle) == Step(replies: [.readyForQuery(.idle)], effect: .flush))
    #expect(machine.isAwaitingMessage)
  }

  @Test("Of several statements only the last ends the implicit transaction")
  func runsSeveral() {
    var machine = SessionMachine()
    _ = machine.receive(.query("a; b"))
    #expect(machine.querySplit(count: 2) == Step(effect: .runSimple(index: 0, endsTransaction: false)))
    #expect(
      machine.completed(tag: "INSERT 0 1", status: .idle)
        == Step(
          replies: [.commandComplete(tag: "INSERT 0 1")], effect: .runSimple(index: 1, endsTransaction: true)))
    #expect(
      machine.failed(error) == Step(replies: [.errorResponse(.error, error)], effect: .abort))
    #expect(machine.transactionEnded(status: .idle) == Step(replies: [.readyForQuery(.idle)], effect: .flush))
  }

  @Test("A text without statements is answered by EmptyQueryResponse")
  func runsNone() {
    var machine = SessionMachine()
    _ = machine.receive(.query(" ; "))
    #expect(machine.querySplit(count: 0) == Step(replies: [.emptyQueryResponse], effect: .commit))
    #expect(machine.transactionEnded(status: .idle) == Step(replies: [.readyForQuery(.idle)], effect: .flush))
  }

  @Test("A commit that fails is told before ReadyForQuery")
  func commitFails() {
    var machine = SessionMachine()
    _ = machine.receive(.query("INSERT"))
    _ = machine.querySplit(count: 1)
    _ = machine.completed(tag: "INSERT 0 1", status: .idle)
    #expect(machine.failed(error) == Step(replies: [.errorResponse(.error, error)], effect: .abort))
    #expect(machine.transactionEnded(status: .idle) == Step(replies: [.readyForQuery(.idle)], effect: .flush))
  }

  @Test("A function call is refused and the session goes on")
  func refusesFunctionCall() {
    var machine = SessionMachine()
    #expect(machine.receive(.functionCall).effect == .abort)
    #expect(machine.transactionEnded(status: .idle).replies == [.readyForQuery(.idle)])
  }

  @Test("The status of a transaction block is reported")
  func reportsStatus() {
    var machine = SessionMachine()
    _ = machine.receive(.query("BEGIN"))
    _ = machine.querySplit(count: 1)
    _ = machine.completed(tag: "BEGIN", status: .inTransaction)
    #expect(machine.transactionEnded(status: .inTransaction).replies == [.readyForQuery(.inTransaction)])
  }
}

@Suite("Extended query")
struct ExtendedQueryTests {
  @Test("Parse, Bind, Describe, Execute, Sync")
  func runs() throws {
    var machine = SessionMachine()
    #expect(
      machine.receive(.parse(ParseMessage(name: "s", sql: "SELECT $1", parameterTypes: [25])))
        == Step(effect: .parse(id: 1, sql: "SELECT $1", parameterTypes: [25])))
    #expect(
      machine.parsed(parameterTypes: [.text], columns: columns)
        == Step(replies: [.parseComplete], effect: .awaitMessage))
    #expect(
      machine.receive(.describe(.statement("s")))
        == Step(
          replies: [.parameterDescription([25]), .rowDescription(columns, formats: [])], effect: .awaitMessage))
    #expect(
      machine.receive(.bind(BindMessage(statement: "s", parameters: ParameterBytes([[0x78]]), resultFormats: [.text])))
        == Step(replies: [.bindComplete], effect: .awaitMessage))
    #expect(
      machine.receive(.describe(.portal("")))
        == Step(replies: [.rowDescription(columns, formats: [.text])], effect: .awaitMessage))
    #expect(
      machine.receive(.execute(portal: "", rowLimit: 0))
        == Step(
          effect: .execute(
            SessionMachine.ExecuteRequest(
              portal: 2, statement: 1, parameters: [.text("x")], resultFormats: [.text], rowLimit: 0))))
    #expect(try machine.rowsBegin(columns).isEmpty)
    #expect(
      machine.rowsEnded(tag: "SELECT 1", status: .idle)
        == Step(replies: [.commandComplete(tag: "SELECT 1")], effect: .awaitMessage))
    #expect(machine.receive(.sync) == Step(effect: .commit))
    // The portal ends with the transaction; the statement is named and stays.
    #expect(
      machine.transactionEnded(status: .idle)
        == Step(replies: [.readyForQuery(.idle)], effect: .flush, dropped: [2]))
  }

  @Test("After an error everything is dropped until Sync")
  func skipsUntilSync() {
    var machine = preparedMachine()
    _ = machine.receive(bind())
    _ = machine.receive(.execute(portal: "", rowLimit: 0))
    #expect(machine.failed(error) == Step(replies: [.errorResponse(.error, error)], effect: .abort))
    #expect(machine.transactionEnded(status: .idle) == Step(effect: .awaitMessage))
    #expect(machine.receive(.query("SELECT 1")) == Step(effect: .awaitMessage))
    #expect(machine.receive(.parse(ParseMessage(name: "", sql: "x"))) == Step(effect: .awaitMessage))
    #expect(machine.receive(.flush) == Step(effect: .awaitMessage))
    #expect(machine.receive(.sync).replies == [.readyForQuery(.idle)])
    #expect(machine.receive(.query("SELECT 1")).effect == .split("SELECT 1"))
  }

  @Test("A row limit suspends the portal, which goes on and then ends")
  func suspends() {
    var machine = preparedMachine()
    _ = machine.receive(bind("c"))
    _ = machine.receive(.execute(portal: "c", rowLimit: 2))
    #expect(machine.rowsSuspended(status: .inTransaction) == Step(replies: [.portalSuspended], effect: .awaitMessage))
    #expect(
      machine.receive(.execute(portal: "c", rowLimit: 2)) == Step(effect: .resume(portal: 2, rowLimit: 2)))
    #expect(
      machine.rowsEnded(tag: "SELECT 1", status: .inTransaction)
        == Step(replies: [.commandComplete(tag: "SELECT 1")], effect: .awaitMessage))
    #expect(
      machine.receive(.execute(portal: "c", rowLimit: 2))
        == Step(replies: [.commandComplete(tag: "SELECT 0")], effect: .awaitMessage))
    // In a block the portal survives Sync.
    _ = machine.receive(.sync)
    #expect(machine.transactionEnded(status: .inTransaction).dropped.isEmpty)
    #expect(machine.receive(.close(.portal("c"))).dropped == [2])
  }

  @Test("A portal that returned no rows cannot run twice")
  func refusesSecondRun() {
    var machine = preparedMachine()
    _ = machine.receive(bind())
    _ = machine.receive(.execute(portal: "", rowLimit: 0))
    _ = machine.completed(tag: "INSERT 0 1", status: .idle)
    #expect(
      machine.receive(.execute(portal: "", rowLimit: 0)).replies
        == [.errorResponse(.error, SQLError(.objectNotInPrerequisiteState, "portal \"\" cannot be run"))])
  }

  @Test("Names that are taken or unknown are refused as in PostgreSQL")
  func refusesNames() {
    let cases: [(FrontendMessage, SQLError)] = [
      (
        .bind(BindMessage(statement: "x")),
        SQLError(.invalidSQLStatementName, "prepared statement \"x\" does not exist")
      ),
      (.bind(BindMessage()), SQLError(.invalidSQLStatementName, "unnamed prepared statement does not exist")),
      (.execute(portal: "x", rowLimit: 0), SQLError(.invalidCursorName, "portal \"x\" does not exist")),
      (.describe(.portal("")), SQLError(.invalidCursorName, "portal \"\" does not exist")),
      (
        .parse(ParseMessage(name: "s", sql: "SELECT 2")),
        SQLError(.duplicatePreparedStatement, "prepared statement \"s\" already exists")
      ),
    ]
    for (message, expected) in cases {
      var machine = SessionMachine()
      _ = machine.receive(.parse(ParseMessage(name: "s", sql: "SELECT 1")))
      _ = machine.parsed(parameterTypes: [], columns: nil)
      #expect(
        machine.receive(message) == Step(replies: [.errorResponse(.error, expected)], effect: .abort))
    }
  }

  @Test("Bind counts parameters and formats")
  func countsParameters() {
    var machine = preparedMachine()
    #expect(
      machine.receive(bind(values: [])).replies == [
        .errorResponse(
          .error,
          SQLError(
            .protocolViolation,
            "bind message supplies 0 parameters, but prepared statement \"\" requires 1"))
      ])
    machine = preparedMachine()
    let formats = BindMessage(parameters: ParameterBytes([nil]), resultFormats: [.text, .binary])
    #expect(
      machine.receive(.bind(formats)).replies == [
        .errorResponse(
          .error,
          SQLError(.protocolViolation, "bind message has 2 result formats but query has 1 columns"))
      ])
  }

  @Test("A parameter whose bytes are wrong is told by its number")
  func refusesParameterBytes() {
    var machine = SessionMachine()
    _ = machine.receive(.parse(ParseMessage(name: "", sql: "SELECT $1, $2")))
    _ = machine.parsed(parameterTypes: [.int4, .int4], columns: columns)
    let bind = BindMessage(parameterFormats: [.binary], parameters: ParameterBytes([[0, 0, 0, 1], [1]]))
    #expect(
      machine.receive(.bind(bind)).replies == [
        .errorResponse(
          .error,
          SQLError(.invalidBinaryRepresentation, "incorrect binary data format in bind parameter 2"))
      ])
  }

  @Test("A statement whose name is gone lives on below its portal")
  func keepsStatementForPortal() {
    var machine = preparedMachine()
    _ = machine.receive(bind("c"))
    // The unnamed statement is replaced: number 1 must stay.
    #expect(machine.receive(.parse(ParseMessage(name: "", sql: "SELECT 2"))).dropped.isEmpty)
    _ = machine.parsed(parameterTypes: [], columns: nil)
    #expect(machine.receive(.close(.portal("c"))).dropped == [2, 1])
  }

  @Test("Closing what does not exist is no error")
  func closesUnknown() {
    var machine = SessionMachine()
    #expect(
      machine.receive(.close(.statement("x"))) == Step(replies: [.closeComplete], effect: .awaitMessage))
  }

  @Test("A result that no longer has the described columns is refused")
  func refusesChangedColumns() {
    var machine = preparedMachine()
    _ = machine.receive(bind())
    _ = machine.receive(.execute(portal: "", rowLimit: 0))
    #expect(
      throws: SQLError(
        .featureNotSupported, "cached plan must not change result type", routine: "RevalidateCachedQuery")
    ) {
      try machine.rowsBegin([ResultColumn(name: "a", type: .int4)])
    }
  }

  @Test("DEALLOCATE forgets one or all")
  func deallocates() {
    var machine = SessionMachine()
    for name in ["a", "b"] {
      _ = machine.receive(.parse(ParseMessage(name: name, sql: "SELECT 1")))
      _ = machine.parsed(parameterTypes: [], columns: nil)
    }
    #expect(machine.hasStatement("a"))
    #expect(machine.deallocate("a") == [1])
    #expect(!machine.hasStatement("a"))
    #expect(machine.deallocate(nil) == [2])
  }

  @Test("A commit that fails at Sync is answered without skipping anything")
  func commitFailsAtSync() {
    var machine = preparedMachine()
    _ = machine.receive(.sync)
    #expect(machine.failed(error) == Step(replies: [.errorResponse(.error, error)], effect: .abort))
    #expect(machine.transactionEnded(status: .idle).replies == [.readyForQuery(.idle)])
  }
}

@Suite("COPY FROM STDIN")
struct CopyInTests {
  private func copying() -> SessionMachine {
    var machine = SessionMachine()
    _ = machine.receive(.query("COPY t FROM STDIN"))
    _ = machine.querySplit(count: 1)
    #expect(
      machine.copyInBegins(format: .text, columnCount: 2)
        == Step(replies: [.copyInResponse(format: .text, columnCount: 2)], effect: .flush))
    return machine
  }

  @Test("Data, then the end")
  func copies() {
    var machine = copying()
    #expect(machine.receive(.copyData([1])) == Step(effect: .copyData([1])))
    #expect(machine.copyContinues() == Step(effect: .awaitMessage))
    #expect(machine.receive(.copyDone) == Step(effect: .copyDone))
    #expect(
      machine.completed(tag: "COPY 1", status: .idle)
        == Step(replies: [.commandComplete(tag: "COPY 1")], effect: .commit))
  }

  @Test("The client gives up with a reason")
  func givesUp() {
    var machine = copying()
    let reason = SQLError(.queryCanceled, "COPY from stdin failed: no more")
    #expect(machine.receive(.copyFail("no more")) == Step(effect: .copyAbort(reason)))
    #expect(machine.failed(reason) == Step(replies: [.errorResponse(.error, reason)], effect: .abort))
    #expect(machine.transactionEnded(status: .idle).replies == [.readyForQuery(.idle)])
  }

  @Test("After bad data the rest of it is ignored")
  func ignoresRest() {
    var machine = copying()
    _ = machine.receive(.copyData([1]))
    _ = machine.failed(error)
    _ = machine.transactionEnded(status: .idle)
    #expect(machine.receive(.copyData([2])) == Step(effect: .awaitMessage))
    #expect(machine.receive(.copyDone) == Step(effect: .awaitMessage))
  }

  @Test("Sync right after Execute does not disturb COPY")
  func ignoresSync() {
    var machine = preparedMachine()
    _ = machine.receive(bind())
    _ = machine.receive(.execute(portal: "", rowLimit: 0))
    _ = machine.copyInBegins(format: .text, columnCount: 1)
    #expect(machine.receive(.sync) == Step(effect: .awaitMessage))
    _ = machine.receive(.copyDone)
    #expect(
      machine.completed(tag: "COPY 0", status: .idle)
        == Step(replies: [.commandComplete(tag: "COPY 0")], effect: .awaitMessage))
    #expect(machine.receive(.sync).effect == .commit)
  }

  @Test("A query in the middle of COPY ends the connection")
  func refusesQuery() {
    var machine = copying()
    #expect(machine.receive(.query("SELECT 1")).effect == .close)
  }
}
