import Metadata
import Testing

/// Expected values were made with Python's hashlib after RFC 9162, section 2.1.
@Suite struct RecordTreeTests {
  private func hash(_ byte: UInt8) -> RecordHash { RecordHash([UInt8](repeating: byte, count: 32))! }

  private func tree(_ count: Int) -> RecordTree {
    var tree = RecordTree()
    for number in 0..<count { tree.append(index: UInt64(number) * 2 + 10, hash: hash(UInt8(number + 1))) }
    return tree
  }

  /// The nodes of a tree as the RFC defines them, from its leaves.
  private func node(_ level: Int, _ place: UInt64) -> RecordHash {
    if level == 0 { return RecordHash.leaf(hash(UInt8(place + 1))) }
    return RecordHash.node(node(level - 1, place * 2), node(level - 1, place * 2 + 1))
  }

  @Test func rootsAreThoseOfTheRFC() {
    let roots = [
      0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      1: "dcffe786ded16d283c663846ad0c4ff26558fccde36ca9d30b2ea19eade9fc0e",
      2: "3a066e0f40c6a1981ebfa60d2411625d0517ae22c2fc8c7c1784ff8a75c78565",
      3: "df896896c799531f1fd1e556cea26a6989ab06853bcbfdd3e4f5097a611f658f",
      5: "c51042bb8b9d81dfc115ef99d0e2cecf1954cfc078d70032d187b46615f01b90",
      8: "9a577296efeb0d25599dc9f9adae21a2295e78752ba8d55f85fece7528ef1e81",
      11: "cdb9f564cb340ca0e89b7878e00be5a51cdcccb7486669b52c8abbc48e327d5c",
    ]
    for (count, root) in roots { #expect(tree(count).root.description == root) }
    #expect(tree(11).firstIndex == 10)
    #expect(tree(11).peaks.count == 3)
  }

  @Test func pathsAreThoseOfTheRFC() {
    let inclusion = TreeProof.inclusion(of: 4, count: 7, nodes: node)
    #expect(
      inclusion.map(\.description) == [
        "511c6562982c9bfa05ba4145ca5f2bba85a11a178a4131b5cebde26dd9ffe704",
        "0a958d726efea0a71eb66b07c78738717b22d1fbd44756e82803a5ed461e13f9",
        "3b3c0ce45d11517a54300a196b61497c4165150d72b7782a4548e3984da771b2",
      ])
    let consistency = TreeProof.consistency(from: 3, to: 7, nodes: node)
    #expect(
      consistency.map(\.description) == [
        "acaa04663a8547a2f70c60cc18f9378796b13c4f9a08f70d6adae662365b30c6",
        "1da033bf8927ed69376d91533748494f7f5e88c20603dede2afc9bfd43d46f17",
        "3a066e0f40c6a1981ebfa60d2411625d0517ae22c2fc8c7c1784ff8a75c78565",
        "385af70fa47037a980072908783b27624b32ab0e73d1c648d8f3f72332334d61",
      ])
  }

  @Test func everyProofHoldsAndNoForgedOneDoes() {
    for count in 1...17 as ClosedRange<UInt64> {
      let root = tree(Int(count)).root
      for leaf in 0..<count {
        let path = TreeProof.inclusion(of: leaf, count: count, nodes: node)
        let record = hash(UInt8(leaf + 1))
        #expect(TreeProof.root(of: record, leaf: leaf, count: count, path: path) == root)
        #expect(TreeProof.root(of: hash(200), leaf: leaf, count: count, path: path) != root)
        #expect(TreeProof.root(of: record, leaf: (leaf + 1) % count, count: count, path: path) != root || count == 1)
        #expect(TreeProof.root(of: record, leaf: leaf, count: count, path: path + [record]) != root)
        for position in path.indices {
          var forged = path
          forged[position] = hash(201)
          #expect(TreeProof.root(of: record, leaf: leaf, count: count, path: forged) != root)
          #expect(TreeProof.root(of: record, leaf: leaf, count: count, path: Array(path.dropLast())) != root)
        }
      }
      for first in 1...count {
        let older = tree(Int(first)).root
        let path = TreeProof.consistency(from: first, to: count, nodes: node)
        #expect(TreeProof.isConsistent((first, older), (count, root), path: path))
        #expect(!TreeProof.isConsistent((first, hash(200)), (count, root), path: path))
        #expect(!TreeProof.isConsistent((first, older), (count, hash(200)), path: path))
        #expect(!TreeProof.isConsistent((first, older), (count, root), path: path + [older]))
        for position in path.indices {
          var forged = path
          forged[position] = hash(201)
          #expect(!TreeProof.isConsistent((first, older), (count, root), path: forged))
        }
      }
    }
  }

  @Test func aTreeBeginsWithTheRecordThatRaisesTheFeatureLevel() {
    var image = Image()
    func record(_ index: UInt64, _ event: Event) -> Record {
      Record(
        index: index, term: 1, previousIndex: image.index, timeMicroseconds: 100 - Int64(index), principal: "p",
        events: [event], previousHash: image.hash, hash: hash(UInt8(index)))
    }
    image.apply(record(1, .clusterCreated(ClusterID(rawValue: []), name: "c", featureLevel: 2)))
    image.apply(record(2, .settingChanged(name: "a", value: "1")))
    #expect(image.tree == RecordTree())
    image.apply(record(3, .featureLevelRaised(3)))
    image.apply(record(4, .settingChanged(name: "a", value: "2")))
    #expect(image.tree.count == 2)
    #expect(image.tree.firstIndex == 3)
    #expect(image.tree.latestTimeMicroseconds == 97)
    #expect(image.tree.root == RecordHash.node(RecordHash.leaf(hash(3)), RecordHash.leaf(hash(4))))
  }
}
