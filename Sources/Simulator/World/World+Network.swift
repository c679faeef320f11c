import Raft

/// Sending and arriving.
extension World {
  /// Puts a packet on its way from one end to another, if the network is kind.
  func send(_ packet: Packet, from: Int, to: Int) {
    if network.isCut(from, to) { return }
    if hasMoves, from < Self.nodeSlots, to < Self.nodeSlots, !isKnown(nodes[to], to: nodes[from]) { return }
    var delay = settings.networkMicroseconds + networkChance.below(settings.networkMicroseconds)
    var isOrdered = true
    if network.trouble.isAny {
      if networkChance.happens(perMillion: network.trouble.drop) { return count(.drop) }
      if networkChance.happens(perMillion: network.trouble.duplicate) {
        count(.duplicate)
        enqueue(packet, to: to, after: delay + networkChance.below(20_000))
      }
      if networkChance.happens(perMillion: network.trouble.replay) {
        count(.replay)
        enqueue(packet, to: to, after: delay + networkChance.below(10_000_000))
      }
      if networkChance.happens(perMillion: network.trouble.delay) {
        count(.delay)
        delay += networkChance.below(300_000)
        isOrdered = false
      }
    }
    let now = now
    let arrival = network.withLink(from, to) { link -> UInt64 in
      var time = now + delay + UInt64(link.slowness)
      if isOrdered {
        time = max(time, link.lastArrival + 1)
        link.lastArrival = time
      }
      return time
    }
    enqueue(packet, to: to, after: arrival - now)
  }

  /// Whether a node knows where the other is: by its log, or because the other has called it, and says where it is as far as
  /// it knows itself.
  private func isKnown(_ other: Node, to node: Node) -> Bool {
    guard other.moves > 0 else { return true }
    if settings.shellMutants.contains(.keepsOldAddress) { return false }
    guard let known = node.core.raft.configuration.member(other.id)?.address, known != other.address else {
      return true
    }
    return other.isAlive && other.core.raft.configuration.member(other.id)?.address == other.address
  }

  private func enqueue(_ packet: Packet, to: Int, after delay: UInt64) {
    guard network.inFlight < 20_000 else { return }
    add(.arrival, at: to, after: delay, value: network.add(packet))
  }

  func arrive(_ event: Event) {
    let end = Int(event.target)
    if end >= TransactionWorld.computeEnds[0], let transactions {
      if let packet = network.take(Int(event.value)) { transactions.arrived(packet, at: end) }
      return
    }
    if end >= Self.nodeSlots {
      guard let packet = network.take(Int(event.value)), case .reply(let reply) = packet else { return }
      return clientReply(end - Self.nodeSlots, reply)
    }
    let node = nodes[end]
    switch node.status {
    case .running where node.busyUntil <= now:
      guard let packet = network.take(Int(event.value)) else { return }
      receive(packet, node)
    case .running, .paused:
      // Held by the operating system, as much as fits its buffers.
      if node.held.count < 500 {
        node.held.append(event)
      } else {
        _ = network.take(Int(event.value))
      }
    default: _ = network.take(Int(event.value))
    }
  }

  private func receive(_ packet: Packet, _ node: Node) {
    switch packet {
    case .raft(let message):
      guard message.to == node.id else { return }
      hash.mix(message.term << 8 ^ message.from)
      node.core.handle(.received(message), atMilliseconds: milliseconds(node))
    case .append(let call): append(call, node)
    case .read(let call): read(call, node)
    case .snapshotPart(let part): receive(part, node)
    case .snapshotAnswer(let answer): receive(answer, node)
    case .reply, .shardCall, .shardAnswer: break
    }
    pump(node)
  }

  func milliseconds(_ node: Node) -> UInt64 { node.clock.milliseconds(at: now) }

  /// Whether packets pass in both directions.
  func isReachable(_ one: Int, _ other: Int) -> Bool { !network.isCut(one, other) && !network.isCut(other, one) }

  /// Tells a node that its connection to another one stands, or does not.
  func connect(_ node: Node, _ peer: MemberID, isUp: Bool, after delay: UInt64) {
    guard node.isAlive else { return }
    add(
      .connection, at: node.slot, after: delay, generation: node.generation, value: Int(peer) << 1 | (isUp ? 1 : 0))
  }
}
