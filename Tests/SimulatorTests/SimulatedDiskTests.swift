import Testing

@testable import SegmentedLog
@testable import Simulator

@Suite("Simulated disk")
struct SimulatedDiskTests {
  private func written(_ disk: SimulatedDisk, _ name: String, _ bytes: [UInt8], synchronizes: Bool) throws {
    let file = try disk.create(name, sizeBytes: 4096)
    try file.write(bytes, at: 0)
    if synchronizes {
      try file.synchronize()
      try disk.synchronizeDirectory()
    }
  }

  @Test("What was synchronized, and is settled, survives every loss of power")
  func durable() throws {
    for seed in UInt64(0)..<50 {
      var chance = Chance(seed: seed, purpose: 1)
      let disk = SimulatedDisk(path: "disk")
      try written(disk, "a", [1, 2, 3], synchronizes: true)
      disk.settle()
      #expect(disk.isSettled)
      disk.crash(losesPower: true, &chance)
      #expect(Array(try disk.open("a").readAll().prefix(4)) == [1, 2, 3, 0])
    }
  }

  @Test("What was not synchronized is there after one loss of power, gone after another, and torn after a third")
  func torn() throws {
    var seen: Set<String> = []
    for seed in UInt64(0)..<200 {
      var chance = Chance(seed: seed, purpose: 1)
      let disk = SimulatedDisk(path: "disk")
      try written(disk, "a", [9], synchronizes: true)
      disk.settle()
      let file = try #require(disk.file("a"))
      try file.write([UInt8](repeating: 7, count: 1500), at: 100)
      disk.crash(losesPower: true, &chance)
      let bytes = try file.readAll()
      #expect(bytes[0] == 9)
      let count = bytes[100..<1600].filter { $0 == 7 }.count
      seen.insert(count == 0 ? "gone" : count == 1500 ? "whole" : "torn")
    }
    #expect(seen == ["gone", "whole", "torn"])
  }

  @Test("A file that was not made durable may be gone, with its name, and a rename may not have happened")
  func directory() throws {
    var names: Set<[String]> = []
    for seed in UInt64(0)..<100 {
      var chance = Chance(seed: seed, purpose: 1)
      let disk = SimulatedDisk(path: "disk")
      try written(disk, "a", [1], synchronizes: true)
      disk.settle()
      try disk.rename("a", to: "b")
      disk.crash(losesPower: true, &chance)
      names.insert(try disk.list())
    }
    #expect(names == [["a"], ["b"]])
  }

  @Test("A write that is lost shows only when another one has followed it")
  func lost() throws {
    var chance = Chance(seed: 1, purpose: 1)
    let disk = SimulatedDisk(path: "disk")
    try written(disk, "a", [1], synchronizes: true)
    disk.settle()
    let file = try #require(disk.file("a"))
    disk.trouble.losesNextWrite = true
    try file.write([2], at: 1)
    try file.synchronize()
    disk.settle()
    #expect(try file.readAll()[1] == 0)
    disk.crash(losesPower: true, &chance)
    #expect(try file.readAll()[1] == 2)
    disk.trouble.losesNextWrite = true
    try file.write([3], at: 2)
    try file.write([4], at: 3)
    try file.synchronize()
    disk.settle()
    disk.crash(losesPower: true, &chance)
    #expect(Array(try file.readAll()[2...3]) == [0, 4])
  }
}
