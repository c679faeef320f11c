import MetadataLog
import Raft
import ReplicaCore

/// Taking, sending and receiving snapshots: what `Replica` does with files, here with arrays. A snapshot is written piece by
/// piece, so that the loop can do other things in between, and travels in parts, from where the last attempt ended.
extension World {
  func beginSnapshot(_ node: Node) {
    let image = node.state.image
    guard image.index > 0 else {
      return node.core.handle(.snapshotTaken(nil), atMilliseconds: milliseconds(node))
    }
    node.snapshotWriter = (ImageSnapshot.Writer(image), image.index, [])
    add(.snapshot, at: node.slot, after: 100, generation: node.generation)
  }

  func writeSnapshotPiece(_ node: Node) {
    guard var work = node.snapshotWriter else { return }
    if settings.shellMutants.contains(.snapshotInOnePiece) {
      while let piece = try? work.writer.next() { work.bytes += piece }
      // What the pieces would have cost together, with an image of some hundred megabytes.
      node.snapshotWriter = nil
      occupy(node, microseconds: 4_000 * settings.snapshotPieceMicroseconds)
      return finishSnapshot(node, index: work.index, bytes: work.bytes)
    }
    guard let piece = try? work.writer.next() else {
      node.snapshotWriter = nil
      return finishSnapshot(node, index: work.index, bytes: work.bytes)
    }
    work.bytes += piece
    node.snapshotWriter = work
    occupy(node, microseconds: settings.snapshotPieceMicroseconds)
    add(.snapshot, at: node.slot, after: settings.snapshotPieceMicroseconds * 2, generation: node.generation)
  }

  private func finishSnapshot(_ node: Node, index begun: UInt64, bytes: [UInt8]) {
    let index = settings.shellMutants.contains(.snapshotIndexReadLate) ? node.state.image.index : begun
    guard index > node.core.raft.snapshot.index, let metadata = node.core.raft.snapshotMetadata(at: index),
      !metadata.configuration.members.isEmpty
    else {
      return node.core.handle(.snapshotTaken(nil), atMilliseconds: milliseconds(node))
    }
    tell("node \(node.id) took a snapshot at \(index), \(bytes.count) bytes")
    checkSnapshot(node, index: index, bytes)
    checkDescription(node, metadata)
    keep(Node.Snapshot(metadata: metadata, bytes: bytes), node)
    node.core.handle(.snapshotTaken(metadata), atMilliseconds: milliseconds(node))
  }

  /// Takes a snapshot into safe keeping: the two latest stay.
  private func keep(_ snapshot: Node.Snapshot, _ node: Node) {
    node.snapshots.removeAll { $0.metadata.index == snapshot.metadata.index }
    node.snapshots.append(snapshot)
    node.snapshots.sort { $0.metadata.index < $1.metadata.index }
    if node.snapshots.count > 2 { node.snapshots.removeFirst() }
  }

  func sendSnapshot(_ node: Node, to member: MemberID, term: UInt64) {
    guard let snapshot = node.snapshots.last, snapshot.metadata.index >= node.core.raft.terms.baseIndex else {
      return node.core.handle(
        .snapshotSent(to: member, term: term, index: nil), atMilliseconds: milliseconds(node))
    }
    nextTransfer += 1
    tell("node \(node.id) sends the snapshot at \(snapshot.metadata.index) to \(member)")
    node.outgoing.removeAll { $0.to == member }
    node.outgoing.append(
      Node.Outgoing(transfer: nextTransfer, to: member, term: term, snapshot: snapshot, lastHeard: now))
    // An empty part asks how much is there already.
    sendPart(node, node.outgoing.count - 1, offset: 0, length: 0)
  }

  private func sendPart(_ node: Node, _ position: Int, offset: Int, length: Int) {
    let transfer = node.outgoing[position]
    guard let slot = slot(of: transfer.to) else { return }
    let bytes = transfer.snapshot.bytes
    send(
      .snapshotPart(
        SnapshotPart(
          from: node.id, to: transfer.to, term: transfer.term, transfer: transfer.transfer,
          metadata: transfer.snapshot.metadata, offset: offset,
          bytes: Array(bytes[offset..<min(bytes.count, offset + length)]), totalBytes: bytes.count)),
      from: node.slot, to: slot)
  }

  func receive(_ part: SnapshotPart, _ node: Node) {
    guard part.to == node.id else { return }
    func answer(_ outcome: SnapshotAnswer.Outcome) {
      guard let slot = slot(of: part.from) else { return }
      send(
        .snapshotAnswer(SnapshotAnswer(from: node.id, to: part.from, transfer: part.transfer, outcome: outcome)),
        from: node.slot, to: slot)
    }
    guard let isWanted = node.core.wantsSnapshot(at: part.metadata.index, term: part.term) else {
      return answer(.refused)
    }
    func received() {
      node.core.handle(
        .snapshotReceived(part.metadata, from: part.from, term: part.term), atMilliseconds: milliseconds(node))
      answer(.done)
    }
    guard isWanted else { return received() }
    // The same image is the same bytes, whoever sends it: another leader may go on where the last one ended.
    if node.incoming?.metadata != part.metadata || node.incoming?.totalBytes != part.totalBytes {
      node.incoming = Node.Incoming(
        from: part.from, metadata: part.metadata, bytes: [], totalBytes: part.totalBytes)
    }
    guard var incoming = node.incoming else { return }
    if part.offset == incoming.bytes.count {
      incoming.bytes += part.bytes
      node.incoming = incoming
    }
    guard incoming.bytes.count == part.totalBytes else { return answer(.continueAt(incoming.bytes.count)) }
    node.incoming = nil
    keep(Node.Snapshot(metadata: part.metadata, bytes: incoming.bytes), node)
    received()
  }

  func receive(_ answer: SnapshotAnswer, _ node: Node) {
    guard answer.to == node.id,
      let position = node.outgoing.firstIndex(where: { $0.transfer == answer.transfer })
    else { return }
    node.outgoing[position].lastHeard = now
    let transfer = node.outgoing[position]
    switch answer.outcome {
    case .continueAt(let offset) where offset < transfer.snapshot.bytes.count:
      sendPart(node, position, offset: offset, length: settings.snapshotPartBytes)
    case .continueAt, .refused: endTransfer(node, position, isDone: false)
    case .done: endTransfer(node, position, isDone: true)
    }
  }

  private func endTransfer(_ node: Node, _ position: Int, isDone: Bool) {
    let transfer = node.outgoing.remove(at: position)
    node.core.handle(
      .snapshotSent(
        to: transfer.to, term: transfer.term, index: isDone ? transfer.snapshot.metadata.index : nil),
      atMilliseconds: milliseconds(node))
  }

  /// Gives up what has not been answered for long, as a connection's timeout does.
  func sweepTransfers(_ node: Node) {
    guard node.isRunning, !node.outgoing.isEmpty else { return }
    for position in node.outgoing.indices.reversed() where node.outgoing[position].lastHeard + 3_000_000 < now {
      endTransfer(node, position, isDone: false)
    }
    pump(node)
  }
}
