import EventLoop
import Glibc
import PostgresWire
import Testing

@testable import ComputeNode

/// Output and end of a program.
@LoopActor
private final class ProgramRun {
  var output: [UInt8] = []
  var errors: [UInt8] = []
  private var exit: ChildExit?
  private var waiter: UnsafeContinuation<Void, Never>?

  /// Runs a shell command to its end; output and error output together with how it ended.
  static func run(_ command: String) async throws -> (output: String, exit: ChildExit?) {
    let run = ProgramRun()
    _ = try ChildProcess.spawn(
      executable: "/bin/sh", arguments: ["-c", command],
      output: .pipe { run.output.append(contentsOf: $0) }, errors: .pipe { run.errors.append(contentsOf: $0) },
      onExit: { run.ended($0) })
    if run.exit == nil { await withUnsafeContinuation { run.waiter = $0 } }
    return (String(decoding: run.output + run.errors, as: UTF8.self), run.exit)
  }

  private func ended(_ exit: ChildExit) {
    self.exit = exit
    if let waiter {
      self.waiter = nil
      waiter.resume()
    }
  }
}

@Suite("Debian's psql", .enabled(if: access("/usr/bin/psql", X_OK) == 0))
struct PsqlTests {
  @LoopActor private func psql(_ listener: PostgresListener, _ arguments: String) async throws -> String {
    try await ProgramRun.run(
      "PGCONNECT_TIMEOUT=10 psql -X -A -t 'postgresql://abc:abc@127.0.0.1:\(listener.port)/postgres?sslmode=disable' "
        + arguments
    ).output
  }

  @Test("Rows, errors and COPY in both directions")
  @LoopActor func works() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    defer { listener.close() }
    #expect(try await psql(listener, "-c 'rows 2'") == "1|row 1\n2|row 2\n")
    #expect(
      try await psql(listener, "-c 'fail'") == "ERROR:  division by zero\nLINE 1: fail\n        ^\n")
    #expect(try await psql(listener, "-c \"copy t from stdin\" </dev/null") == "COPY 0\n")
    #expect(
      try await psql(listener, "-c '\\copy t from pstdin' <<'END'\n1\tone\n2\t\\N\nEND") == "COPY 2\n")
    #expect(factory.committed == ["1|one", "2|NULL"])
    #expect(
      try await psql(listener, "-c '\\copy t to pstdout'") == "1\trow\\t1\n2\trow\\t2\n3\trow\\t3\n")
  }

  @Test("TLS, and refusal of clients without it where it is required")
  @LoopActor func usesTLS() async throws {
    let directory = "/tmp/kunlog-session-tls-\(getpid())"
    try FileSystem.createDirectory(directory)
    defer { try? FileSystem.remove(directory) }
    let authority = try CertificateAuthority.create(
      commonName: "test", certificateFile: "\(directory)/ca.pem", keyFile: "\(directory)/ca.key")
    try authority.issue(
      commonName: "server", certificateFile: "\(directory)/server.pem", keyFile: "\(directory)/server.key")
    let listener = try listen(FakeBackendFactory()) {
      $0.tls = TLSConfiguration(
        certificateFile: "\(directory)/server.pem", keyFile: "\(directory)/server.key")
      $0.requiresTLS = true
    }
    defer { listener.close() }
    let url = "postgresql://abc:abc@127.0.0.1:\(listener.port)/postgres"
    #expect(try await ProgramRun.run("psql -X -A -t '\(url)?sslmode=require' -c 'rows 1'").output == "1|row 1\n")
    let plain = try await ProgramRun.run("psql -X -A -t '\(url)?sslmode=disable' -c 'rows 1'").output
    #expect(plain.contains("connections without SSL encryption are refused"))
  }
}

@Suite("Python's drivers", .enabled(if: access(".build/python/bin/python", X_OK) == 0))
struct PythonDriverTests {
  @Test("asyncpg and psycopg connect, prepare, fetch and pipeline")
  @LoopActor func works() async throws {
    let factory = FakeBackendFactory()
    let listener = try listen(factory)
    defer { listener.close() }
    let script = #"""
      import asyncio, asyncpg, psycopg
      url = 'postgresql://abc:abc@127.0.0.1:\#(listener.port)/postgres?sslmode=disable'
      async def main():
          connection = await asyncpg.connect(url)
          print([tuple(row) for row in await connection.fetch('rows 3')])
          print(await connection.fetchval('echo $1', 'hello'))
          async with connection.transaction():
              print([row['id'] async for row in connection.cursor('rows 120', prefetch=50)][-1])
          try:
              await connection.fetch('fail')
          except asyncpg.DivisionByZeroError as error:
              print(error.sqlstate)
          await connection.close()
      asyncio.run(main())
      with psycopg.connect(url, autocommit=True) as connection:
          print(connection.execute('rows 2').fetchall())
          print(connection.execute('echo %s', ['text']).fetchone())
          with connection.pipeline():
              cursors = [connection.execute('insert %d' % i) for i in range(3)]
          print(connection.execute('show').fetchall())
          for _ in range(8):
              connection.execute('echo %s', ['again'])
          with connection.cursor() as cursor:
              with cursor.copy('copy t to stdout') as copy:
                  print(list(copy.rows()))
              with cursor.copy('copy t from stdin') as copy:
                  copy.write_row(['copied', None])
              print(cursor.statusmessage)
      """#
    let run = try await ProgramRun.run(".build/python/bin/python - <<'END'\n\(script)\nEND")
    #expect(
      run.output == """
        [(1, 'row 1'), (2, 'row 2'), (3, 'row 3')]
        hello
        120
        22012
        [(1, 'row 1'), (2, 'row 2')]
        ('text',)
        [('0',), ('1',), ('2',)]
        [('1', 'row\\t1'), ('2', 'row\\t2'), ('3', 'row\\t3')]
        COPY 1

        """)
  }
}
