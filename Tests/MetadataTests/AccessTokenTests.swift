import Metadata
import Testing

@Suite("Tokens as the log knows them")
struct AccessTokenTests {
  private let token = AccessToken(name: "grafana", role: .reader, expiresSeconds: 1_800_000_000, token: "grafana.00ff")

  @Test("A token becomes a setting with its digest, and the setting a token")
  func setting() throws {
    #expect(AccessToken.text(name: "grafana", secret: [0, 255]) == "grafana.00ff")
    #expect(token.settingName == "access.token.grafana")
    #expect(token.settingValue.hasPrefix("role=reader expires=1800000000 sha256="))
    #expect(!token.settingValue.contains("00ff "))
    #expect(AccessToken(settingName: token.settingName, value: token.settingValue) == token)
    #expect(token.matches("grafana.00ff"))
    #expect(!token.matches("grafana.00fe"))
    #expect(!token.isExpired(atSeconds: 1_799_999_999))
    #expect(token.isExpired(atSeconds: 1_800_000_000))
  }

  @Test("What is no digest of a token is refused as a setting of access")
  func refused() throws {
    var fixture = try Fixture.cluster()
    for value in ["secret", "role=root expires=never sha256=00", token.settingValue + " ", "role=reader"] {
      #expect(
        fixture.rejection(.setSetting(name: "access.token.x", value: value))?.hint
          == "Tokens are made by: kunlog access token create")
    }
    #expect(fixture.rejection(.setSetting(name: "access.other", value: token.settingValue)) != nil)
    try fixture.append(.setSetting(name: token.settingName, value: token.settingValue))
    #expect(fixture.image.accessTokens == [token])
    try fixture.append(.setSetting(name: token.settingName, value: nil))
    #expect(fixture.image.accessToken(named: "grafana") == nil)
  }
}
