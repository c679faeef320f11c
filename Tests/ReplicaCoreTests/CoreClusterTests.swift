import Raft
import Testing

@testable import ReplicaCore

@Suite("Cores of replicas that talk to each other")
struct CoreClusterTests {
  @Test("A proposal is applied everywhere, and answered where it was made")
  func proposal() throws {
    var cluster = CoreCluster(1, 2, 3)
    let leader = cluster.elect()
    cluster.news = []
    try cluster.propose(leader, token: 7)
    cluster.settle()
    #expect(cluster.news == ["\(leader): proposal 7 applied at 2"])
    for id in cluster.ids { #expect(cluster.nodes[id]?.appliedEntries == [1, 2]) }
  }

  @Test("What shows an entry that is not durable waits for the disk; what does not, leaves")
  func delayedMessages() throws {
    var cluster = CoreCluster(1, 2, 3)
    let leader = cluster.elect()
    let follower = try #require(cluster.ids.first { $0 != leader })
    cluster.hangingDisks = [follower]
    cluster.cut = [try #require(cluster.ids.last { $0 != leader })]
    try cluster.propose(leader, token: 7)
    cluster.settle()
    #expect(cluster[leader].raft.commitIndex == 1)
    cluster.pass(milliseconds: 200)
    #expect(cluster[leader].raft.role == .leader)
    cluster.resumeDisk(follower)
    cluster.settle()
    #expect(cluster[leader].raft.commitIndex == 2)
  }

  @Test("A leader does not apply what its own disk does not hold, though the others have committed it")
  func slowLeader() throws {
    var cluster = CoreCluster(1, 2, 3)
    let leader = cluster.elect()
    cluster.hangingDisks = [leader]
    cluster.news = []
    try cluster.propose(leader, token: 7)
    cluster.settle()
    #expect(cluster[leader].raft.commitIndex == 2)
    #expect(cluster[leader].appliedIndex == 1)
    #expect(cluster.news == [])
    cluster.resumeDisk(leader)
    #expect(cluster.news == ["\(leader): proposal 7 applied at 2"])
  }

  @Test("A leader whose disk hangs hands over within two election timeouts, and those who wait are told")
  func stalledLeader() throws {
    var cluster = CoreCluster(1, 2, 3)
    let leader = cluster.elect()
    cluster.hangingDisks = [leader]
    cluster.news = []
    try cluster.propose(leader, token: 7)
    cluster.settle()
    cluster.handle(leader, .read(8, deadlineMilliseconds: cluster.now + 5_000))
    let start = cluster.now
    while cluster.leader == leader || cluster.leader == nil, cluster.now < start + 2_000 {
      cluster.pass(milliseconds: 5)
    }
    #expect(cluster.now <= start + 500)
    #expect(
      Array(cluster.news.prefix(3)) == [
        "\(leader): read 8 failed, lostLeadership", "\(leader): proposal 7 failed, lostLeadership",
        "\(leader): follows in term 1",
      ])
    // It was committed nevertheless: its outcome was unknown, not that it is lost.
    let next = try #require(cluster.leader)
    #expect(cluster.nodes[next]?.appliedEntries == [1, 2, 3])
  }

  @Test("A proposal that another leader's entry replaces fails, and is never answered again")
  func replaced() throws {
    var cluster = CoreCluster(1, 2, 3)
    let old = cluster.elect()
    cluster.news = []
    cluster.cut = [old]
    try cluster.propose(old, token: 7)
    cluster.settle()
    for id in cluster.ids where id != old { cluster.handle(id, .disconnected(old)) }
    let new = cluster.elect()
    try cluster.propose(new, token: 9)
    cluster.settle()
    cluster.cut = []
    cluster.handle(new, .connected(old))
    cluster.pass(milliseconds: 500)
    #expect(cluster.news.filter { $0.contains("proposal 7") } == ["\(old): proposal 7 failed, lostLeadership"])
    #expect(cluster.news.filter { $0.contains("proposal 9") } == ["\(new): proposal 9 applied at 3"])
    #expect(cluster.nodes[old]?.appliedEntries == [1, 2, 3])
  }

  @Test("A read on a follower is asked of the leader, and of the next one when that is gone")
  func reads() throws {
    var cluster = CoreCluster(1, 2, 3)
    let leader = cluster.elect()
    let follower = try #require(cluster.ids.first { $0 != leader })
    cluster.news = []
    cluster.handle(follower, .read(1, deadlineMilliseconds: cluster.now + 3_000))
    cluster.settle()
    #expect(cluster.news == ["\(follower): read 1 ready"])
    cluster.cut = [leader]
    cluster.handle(follower, .read(2, deadlineMilliseconds: cluster.now + 3_000))
    cluster.settle()
    #expect(cluster.news == ["\(follower): read 1 ready"])
    cluster.pass(milliseconds: 1_500)
    #expect(cluster.news.contains("\(follower): read 2 ready"))
  }

  @Test("A member is replaced in one change; the leader that it replaces is told, and hands over")
  func replaceLeader() throws {
    var cluster = CoreCluster(1, 2, 3)
    let old = cluster.elect()
    cluster.add(4, .empty)
    cluster.news = []
    try cluster.change(old, token: 1, .addLearner(Member(id: 4, address: "host:4")))
    cluster.settle()
    try cluster.change(old, token: 2, .promote(4), .remove(old))
    cluster.settle()
    #expect(cluster.news.prefix(3) == ["\(old): change 1 done", "\(old): change 2 done", "\(old): follows in term 1"])
    let new = try #require(cluster.leader)
    #expect(new != old)
    #expect(cluster[new].raft.configuration.voters == [1, 2, 3, 4].filter { $0 != old })
    #expect(cluster[new].raft.configuration.members.map(\.disk) == [10, 20, 30, 40].filter { $0 != old * 10 })
  }

  @Test("A change that is not committed when leadership is lost fails")
  func changeLost() throws {
    var cluster = CoreCluster(1, 2, 3)
    let old = cluster.elect()
    cluster.news = []
    cluster.cut = [old]
    try cluster.change(old, token: 1, .addLearner(Member(id: 4, address: "host:4")))
    cluster.pass(milliseconds: 600)
    #expect(cluster.news.filter { $0.contains("change") } == ["\(old): change 1 failed, lostLeadership"])
  }

  @Test("Leadership is handed over at once; to who does not answer it is not, and the leader goes on")
  func transfer() throws {
    var cluster = CoreCluster(1, 2, 3)
    let old = cluster.elect()
    let new = try #require(cluster.ids.first { $0 != old })
    cluster.news = []
    try cluster.transfer(old, to: new, token: 1)
    cluster.settle()
    #expect(cluster.news == ["\(old): follows in term 2", "\(old): change 1 done", "\(new): leads term 2"])
    cluster.news = []
    cluster.cut = [old]
    try cluster.transfer(new, to: old, token: 2)
    #expect(throws: Refusal.transferring) { try cluster.transfer(new, to: old, token: 3) }
    #expect(throws: Refusal.transferring) { try cluster.propose(new, token: 4) }
    cluster.pass(milliseconds: 300)
    #expect(cluster.news == ["\(new): change 2 failed, timedOut"])
    try cluster.propose(new, token: 5)
    cluster.settle()
    #expect(cluster.news.last == "\(new): proposal 5 applied at 3")
  }

  @Test("A node on a disk that the group does not know is told so, and takes no part")
  func foreignDisk() throws {
    var cluster = CoreCluster(1, 2, 3)
    let leader = cluster.elect()
    let other = try #require(cluster.ids.first { $0 != leader })
    var recovered = Raft.Recovered.fresh(
      Configuration(voters: [1, 2, 3].map { Member(id: $0, address: "host:\($0)") }))
    recovered.disk = 77
    cluster.nodes[other]?.core = ReplicaCore(
      id: other, options: ReplicaOptions(), recovered: recovered, appliedIndex: 0, seed: 5,
      atMilliseconds: cluster.now)
    cluster.news = []
    cluster.handle(leader, .disconnected(other))
    cluster.handle(leader, .connected(other))
    cluster.pass(milliseconds: 60)
    #expect(cluster.news.contains("\(other): disk \(other * 10) is recorded"))
    #expect(
      cluster.news.contains("\(leader): fault of \(other), its disk is another one than that with which it joined"))
    #expect(cluster[leader].raft.role == .leader)
  }

  @Test("Messages that wait for a disk that hangs are bounded")
  func boundedDelays() throws {
    var options = ReplicaOptions()
    options.maximumDelayedMessages = 3
    var cluster = CoreCluster(1, 2, 3, options: options)
    let leader = cluster.elect()
    let follower = try #require(cluster.ids.first { $0 != leader })
    cluster.hangingDisks = [follower]
    for token: UInt64 in 1...10 {
      try cluster.propose(leader, token: token)
      cluster.settle()
    }
    #expect(cluster.network == [])
    cluster.resumeDisk(follower)
    #expect(cluster.network.count == 3)
  }
}
