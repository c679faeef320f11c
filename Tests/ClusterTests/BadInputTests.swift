import Foundation
import Testing

extension RealProcesses {
  /// What people and broken programs send: that connection ends or is told, nothing else notices.
  @Suite
  struct BadInputTests {
    @Test("Errors carry PostgreSQL's SQLSTATE, message and position")
    func sqlErrors() throws {
      let cluster = try Cluster(nodePort: 16501, postgresPort: 15451)
      _ = try cluster.query(
        """
        CREATE TABLE t (id int PRIMARY KEY, name varchar(3) NOT NULL, n int CHECK (n > 0));
        INSERT INTO t VALUES (1, 'a', 1);
        """)
      let cases: [(String, String)] = [
        ("SELEC 1", "ERROR:  42601: syntax error at or near \"SELEC\"\nLINE 1: SELEC 1;\n        ^"),
        (
          "SELECT * FROM nothing",
          "ERROR:  42P01: relation \"nothing\" does not exist\nLINE 1: SELECT * FROM nothing;\n                      ^"
        ),
        (
          "SELECT nothing FROM t",
          "ERROR:  42703: column \"nothing\" does not exist\nLINE 1: SELECT nothing FROM t;\n               ^"
        ),
        (
          "SELECT 'x'::int",
          "ERROR:  22P02: invalid input syntax for type integer: \"x\"\nLINE 1: SELECT 'x'::int;\n               ^"
        ),
        ("SELECT 1 / 0", "ERROR:  22012: division by zero"),
        ("SELECT 2147483647 + 1", "ERROR:  22003: integer out of range"),
        (
          "INSERT INTO t VALUES (1, 'b', 1)",
          "ERROR:  23505: duplicate key value violates unique constraint \"t_pkey\"\nDETAIL:  Key (id)=(1) already exists."
        ),
        (
          "INSERT INTO t VALUES (2, NULL, 1)",
          "ERROR:  23502: null value in column \"name\" of relation \"t\" violates not-null constraint"
        ),
        (
          "INSERT INTO t VALUES (2, 'b', 0)",
          "ERROR:  23514: new row for relation \"t\" violates check constraint \"t_n_check\""
        ),
        ("INSERT INTO t VALUES (2, 'long', 1)", "ERROR:  22001: value too long for type character varying(3)"),
        ("ALTER TABLE t ADD COLUMN x int", "ERROR:  0A000:"),
      ]
      for (statement, expected) in cases {
        let result = try cluster.psql("\\set VERBOSITY verbose\n" + statement + ";\n")
        #expect(result.errors.contains(expected), "\(statement): \(result.errors)")
      }
      #expect(try cluster.query("SELECT * FROM t") == "1|a|1")
      let wrong = try Program.run(
        "/usr/bin/psql",
        ["-X", "-h", "127.0.0.1", "-p", "\(cluster.postgresPort)", "-U", "abc", "-c", "SELECT 1", "postgres"],
        environment: ["PGPASSWORD": "wrong"])
      #expect(wrong.errors.contains("password authentication failed for user \"abc\""))
    }

    @Test("Random bytes, a length of 1 GB, half-open connections and clients that never read harm nobody else")
    func brokenClients() throws {
      let cluster = try Cluster(nodePort: 16601, postgresPort: 15461)
      _ = try cluster.query("CREATE TABLE t (id int PRIMARY KEY, v text)")
      let pids = try cluster.processes().map(\.pid)
      var random = SystemRandomNumberGenerator()
      var open: [RawConnection] = []
      for process in try cluster.processes() {
        for port in process.ports.values {
          for length in [1, 7, 100, 20_000] {
            let connection = try RawConnection(port: port)
            connection.send((0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
            open.append(connection)
          }
          open.append(try RawConnection(port: port))
        }
      }
      let huge = try RawConnection(port: cluster.postgresPort)
      huge.send([0x3f, 0xff, 0xff, 0xff, 0, 3, 0, 0])
      #expect(huge.isClosedByPeer(withinSeconds: 10))
      #expect(try cluster.query("INSERT INTO t VALUES (1, 'x'); SELECT count(*) FROM t") == "1")
      for connection in open { connection.close() }
      #expect(try cluster.query("SELECT count(*) FROM t", node: 2) == "1")
      #expect(try cluster.processes().map(\.pid) == pids, "a process was started anew")
    }

    @Test("A data directory that is in use, another cluster's, or of another version is refused with what to do")
    func wrongDirectories() throws {
      let cluster = try Cluster(nodePort: 16701, postgresPort: 15471)
      let again = try Program.run(Program.kunlog, ["quickstart", "--data", cluster.data, "--detach"])
      #expect(again.status != 0)
      #expect(again.errors.contains("A quick start is running in \(cluster.data)"))
      #expect(again.errors.contains("kunlog quickstart stop --data"))

      let meta = cluster.data + "/meta-1"
      try cluster.stop()
      let certificates = [
        "--certificate", cluster.data + "/certificates/meta-1.pem", "--key", cluster.data + "/certificates/meta-1.key",
      ]
      let other = try Program.run(
        Program.kunlog,
        [
          "meta", "--name", "meta-1", "--node-id", "1", "--cluster-id", String(repeating: "ab", count: 16), "--listen",
          "127.0.0.1:16799",
          "--data", meta,
        ]
          + certificates + ["--authority", cluster.data + "/certificates/ca.pem", "--member", "1=127.0.0.1:16799"])
      #expect(other.status == 1)
      #expect(other.errors.contains("cluster"), "\(other.errors)")

      let layout = cluster.data + "/cluster.json"
      let text = try String(contentsOfFile: layout, encoding: .utf8)
      try text.replacingOccurrences(of: "\"format\" : 1", with: "\"format\" : 99").write(
        toFile: layout, atomically: true, encoding: .utf8)
      let newer = try Program.run(Program.kunlog, ["quickstart", "--data", cluster.data, "--detach"])
      #expect(newer.status != 0)
      #expect(newer.errors.contains("another version of Kunlog"))
      try text.write(toFile: layout, atomically: true, encoding: .utf8)
    }
  }
}

/// A socket without a protocol.
final class RawConnection {
  private var descriptor: Int32

  init(port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw Cluster.Failure(description: "cannot connect to port \(port)") }
  }

  deinit { close() }

  /// Sends what the peer takes; a peer that closes early is no error here.
  func send(_ bytes: [UInt8]) { _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

  func close() {
    guard descriptor >= 0 else { return }
    _ = Foundation.close(descriptor)
    descriptor = -1
  }

  /// Reads until the peer closes.
  func isClosedByPeer(withinSeconds seconds: Int) -> Bool {
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count == 0 { return true }
      if count < 0 { return errno == ECONNRESET }
    }
  }
}
