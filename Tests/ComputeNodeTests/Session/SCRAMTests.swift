import PostgresWire
import SQLTypes
import Testing

@testable import ComputeNode

@Suite("SCRAM-SHA-256")
struct SCRAMTests {
  /// RFC 7677, section 3: user "user", password "pencil".
  static let salt = Base64.decode("W22ZaJ0SNY7soEsUEjb6gQ==") ?? []

  @Test("A verifier has PostgreSQL's form and is read back")
  func makesVerifier() throws {
    let verifier = SCRAMVerifier(password: "pencil", salt: Self.salt, iterations: 4096, cryptography: .openSSL)
    #expect(
      verifier.text
        == "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        + "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")
    #expect(SCRAMVerifier(verifier.text) == verifier)
    #expect(verifier.matches("pencil", cryptography: .openSSL))
    #expect(!verifier.matches("Pencil", cryptography: .openSSL))
  }

  @Test("What is no verifier is not read", arguments: ["", "md5abc", "SCRAM-SHA-256$4096:a$b:c", "SCRAM-SHA-256$0:$:"])
  func refusesVerifier(_ text: String) {
    #expect(SCRAMVerifier(text) == nil)
  }

  private func exchange(_ verifier: SCRAMVerifier?) -> SCRAMExchange {
    SCRAMExchange(
      verifier: verifier, user: "user", serverNonce: Array(repeating: 7, count: 18), mockSecret: [1, 2, 3],
      cryptography: .openSSL)
  }

  @Test("The example of RFC 7677, with our own nonce, ends with the server's proof")
  func succeeds() throws {
    let cryptography = SCRAMCryptography.openSSL
    let verifier = SCRAMVerifier(password: "pencil", salt: Self.salt, iterations: 4096, cryptography: cryptography)
    var exchange = exchange(verifier)
    let bare = "n=user,r=rOprNGfwEbeRWgbNEkqO"
    let first = try exchange.receiveFirst(Array("n,,\(bare)".utf8))
    let expected = "r=rOprNGfwEbeRWgbNEkqOBwcHBwcHBwcHBwcHBwcHBwcH,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    #expect(String(decoding: first, as: UTF8.self) == expected)
    let salted = cryptography.pbkdf2(Array("pencil".utf8), Self.salt, 4096)
    let clientKey = cryptography.hmac(salted, Array("Client Key".utf8))
    let withoutProof = "c=biws,r=rOprNGfwEbeRWgbNEkqOBwcHBwcHBwcHBwcHBwcHBwcH"
    let signed = Array("\(bare),\(expected),\(withoutProof)".utf8)
    let signature = cryptography.hmac(cryptography.sha256(clientKey), signed)
    let proof = Base64.encode(zip(clientKey, signature).map { $0 ^ $1 })
    let answer = try exchange.receiveFinal(Array("\(withoutProof),p=\(proof)".utf8))
    #expect(answer?.prefix(2) == Array("v=".utf8)[...])
    #expect(answer?.count == 46)
  }

  @Test("A role that does not exist has the same salt at every attempt")
  func mocks() throws {
    var first = exchange(nil)
    var second = exchange(nil)
    let message = Array("n,,n=user,r=abc".utf8)
    #expect(try first.receiveFirst(message) == second.receiveFirst(message))
    let proof = Base64.encode([UInt8](repeating: 0, count: 32))
    let nonce = "abcBwcHBwcHBwcHBwcHBwcHBwcH"
    #expect(try first.receiveFinal(Array("c=biws,r=\(nonce),p=\(proof)".utf8)) == nil)
  }

  @Test(
    "Malformed first messages are protocol violations",
    arguments: [
      "", "n", "n,,", "n,,n=user", "x,,n=user,r=abc", "p=tls-unique,,n=u,r=abc", "n,,n=user,r=", "n,,r=a,n=b",
    ])
  func refusesFirst(_ text: String) {
    var exchange = exchange(nil)
    #expect { try exchange.receiveFirst(Array(text.utf8)) } throws: {
      ($0 as? SQLError)?.sqlState == .protocolViolation
    }
  }

  @Test(
    "Malformed final messages are protocol violations",
    arguments: [
      "", "c=biws", "c=biws,r=abc", "c=xxxx,r=abcBwcHBwcHBwcHBwcHBwcHBwcH,p=AAAA", "c=biws,r=wrong,p=AAAA",
      "c=biws,r=abcBwcHBwcHBwcHBwcHBwcHBwcH,p=AAAA", "c=biws,r=abcBwcHBwcHBwcHBwcHBwcHBwcH,p=!",
    ])
  func refusesFinal(_ text: String) throws {
    var exchange = exchange(nil)
    _ = try exchange.receiveFirst(Array("n,,n=user,r=abc".utf8))
    #expect { try exchange.receiveFinal(Array(text.utf8)) } throws: {
      ($0 as? SQLError)?.sqlState == .protocolViolation
    }
  }
}
