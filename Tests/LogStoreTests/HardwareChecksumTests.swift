import EventLoop
import SegmentedLog
import Testing

@Suite struct HardwareChecksumTests {
  @Test func theProcessorsChecksumIsTheOneInSwift() {
    // A machine without the instruction has nothing to compare.
    guard let hardware = HardwareChecksum.crc32c else { return }
    let digits = Array("123456789".utf8)
    #expect(~digits.withUnsafeBytes { hardware(~0, $0) } == 0xE306_9283)
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for length in 0..<bytes.count {
      let (inSwift, inHardware) = bytes.prefix(length).withUnsafeBytes { (CRC32C.checksum($0), ~hardware(~0, $0)) }
      #expect(inSwift == inHardware)
    }
  }
}
