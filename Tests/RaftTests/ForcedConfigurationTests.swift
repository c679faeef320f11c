import Raft
import Testing

/// The operator's last resort.
@Suite struct ForcedConfigurationTests {
  private func recovered(promised: LogPosition? = nil) -> Raft.Recovered {
    var terms = TermIndex(baseIndex: 0, baseTerm: 0)
    for index in UInt64(1)...4 { terms.append(index: index, term: index < 3 ? 1 : 2) }
    let members = Configuration(
      voters: [Member(id: 1, address: "a:1"), Member(id: 2, address: "b:1"), Member(id: 3, address: "c:1")])
    var log = Raft.Recovered(
      hardState: HardState(term: 4, vote: 3), snapshot: SnapshotMetadata(index: 0, term: 0, configuration: members),
      terms: terms, baseConfiguration: members, configurations: [], commitIndex: 0, promised: promised)
    log.disk = 77
    return log
  }

  @Test("It follows all that the log holds, in a term above all that the node has seen") func place() throws {
    let forced = try #require(ForcedConfiguration(of: 2, in: recovered()))
    #expect(forced.entry.index == 5)
    #expect(forced.entry.term == 5)
    #expect(forced.hardState == HardState(term: 5, vote: 2))
    #expect(
      Configuration(encoded: forced.entry.payload)
        == Configuration(voters: [Member(id: 2, address: "b:1", disk: 77)]))
    #expect(forced.before.voters == [1, 2, 3])
  }

  @Test("A promise that the log cannot keep is outdone, so that the node may lead") func promise() throws {
    let forced = try #require(
      ForcedConfiguration(of: 2, in: recovered(promised: LogPosition(index: 900, term: 9))))
    #expect(forced.entry.index == 5)
    #expect(forced.entry.term == 10)
  }

  @Test("A node that the log does not know cannot be forced upon it") func stranger() {
    #expect(ForcedConfiguration(of: 9, in: recovered()) == nil)
  }

  @Test("The node that starts with it leads at once, alone, and commits everything before it") func leads() throws {
    var log = recovered()
    let forced = try #require(ForcedConfiguration(of: 2, in: log))
    log.hardState = forced.hardState
    log.terms.append(index: forced.entry.index, term: forced.entry.term)
    log.configurations = [(5, try #require(Configuration(encoded: forced.entry.payload)))]
    var raft = Raft(id: 2, options: Options(), recovered: log, seed: 1, atMilliseconds: 0)
    var sequence: UInt64 = 0
    func written(_ effects: [Effect]) -> UInt64 {
      for effect in effects {
        switch effect {
        case .writeHardState(_, let number), .writeEntries(_, let number): sequence = number
        default: break
        }
      }
      return sequence
    }
    var effects = raft.step(.campaign, atMilliseconds: 1)
    for _ in 0..<4 {
      effects = raft.step(.written(through: written(effects)), atMilliseconds: 2)
      _ = written(effects)
      effects = raft.step(.flush, atMilliseconds: 2)
    }
    _ = raft.step(.written(through: written(effects)), atMilliseconds: 3)
    #expect(raft.role == .leader)
    #expect(raft.hardState.term == 6)
    #expect(raft.commitIndex >= 6)
  }
}
