import MetadataAudit
import Testing

/// Times in words and back.
@Suite
struct AuditTimeTests {
  private static let now: Int64 = 1_795_734_903_500_000

  @Test("Times are read in UTC or with an offset, to the microsecond, or as so long ago")
  func parse() {
    func time(_ text: String) -> Int64? { AuditTime.parse(text, nowMicroseconds: Self.now) }
    #expect(time("2026-11-26") == 1_795_651_200_000_000)
    #expect(time("2026-11-26 23:15") == 1_795_734_900_000_000)
    #expect(time("2026-11-26T23:15:03Z") == 1_795_734_903_000_000)
    #expect(time("2026-11-26T23:15:03.5Z") == Self.now)
    #expect(time("2026-11-27T00:15:03.500000+01:00") == Self.now)
    #expect(time("2026-11-26T18:15:03.5-0500") == Self.now)
    #expect(time("1970-01-01") == 0)
    #expect(time("90s") == Self.now - 90_000_000)
    #expect(time("2d") == Self.now - 172_800_000_000)
  }

  @Test(
    "What is no time is none",
    arguments: [
      "", "yesterday", "2026-13-01", "2026-02-29", "2026-11-26T24:00", "2026-11-26T23:60", "2026-11-26T23:15:03.Z",
      "2026-11-26 23", "26-11-26", "2026-11-26T23:15:03Zx", "-5m", "99999999999999999d", "12",
    ])
  func malformed(_ text: String) { #expect(AuditTime.parse(text, nowMicroseconds: Self.now) == nil) }

  @Test("Times are written with milliseconds")
  func text() {
    #expect(AuditTime.text(Self.now) == "2026-11-26T23:15:03.500Z")
    #expect(AuditTime.text(0) == "1970-01-01T00:00:00.000Z")
    #expect(AuditTime.text(-1) == "1969-12-31T23:59:59.999Z")
  }
}
