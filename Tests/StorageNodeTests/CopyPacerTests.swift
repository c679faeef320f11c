import Testing

@testable import StorageNode

@Suite("The pace of a copy")
struct CopyPacerTests {
  @Test("A copy goes on where the loop is in time, and rests thirty times as long as it is late, up to a bound")
  func rests() {
    #expect([-200, 0, 1500].map { CopyPacer.restMilliseconds(afterDelayOf: $0) } == [0, 0, 0])
    #expect(
      [1600, 2500, 4000, 6500, 100_000].map { CopyPacer.restMilliseconds(afterDelayOf: $0) } == [3, 30, 75, 150, 150])
  }
}
