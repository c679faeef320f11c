/// The links between all ends: nodes first, then clients. Holds what is on its way.
struct Network {
  /// One direction between two ends.
  struct Link {
    /// Messages arrive in order, unless the network is told otherwise.
    var lastArrival: UInt64 = 0
    /// Everything is dropped while this is above zero: as many partitions cut the link.
    var cuts: UInt8 = 0
    /// Added to each message's way, in microseconds.
    var slowness: UInt32 = 0
  }

  /// What goes wrong with each message, in millionths.
  struct Trouble: Sendable {
    var drop: UInt32 = 0
    var duplicate: UInt32 = 0
    /// Delivered once more, seconds later.
    var replay: UInt32 = 0
    /// Held back so long that others overtake it.
    var delay: UInt32 = 0
    var isAny: Bool { drop | duplicate | replay | delay != 0 }
  }

  static let ends = 24

  var trouble = Trouble()
  private(set) var links = [Link](repeating: Link(), count: ends * ends)
  private var packets: [Packet?] = []
  private var free: [Int] = []
  /// How many packets are on their way.
  var inFlight: Int { packets.count - free.count }

  mutating func withLink<Result>(_ from: Int, _ to: Int, _ body: (inout Link) -> Result) -> Result {
    body(&links[from * Network.ends + to])
  }

  func isCut(_ from: Int, _ to: Int) -> Bool { links[from * Network.ends + to].cuts > 0 }

  /// Puts a packet on its way; the number by which it is taken off again.
  mutating func add(_ packet: Packet) -> Int {
    if let slot = free.popLast() {
      packets[slot] = packet
      return slot
    }
    packets.append(packet)
    return packets.count - 1
  }

  mutating func take(_ slot: Int) -> Packet? {
    free.append(slot)
    var packet: Packet?
    swap(&packet, &packets[slot])
    return packet
  }

  /// All that is on its way is lost.
  mutating func loseAll() {
    for slot in packets.indices { packets[slot] = nil }
  }

  mutating func heal() {
    trouble = Trouble()
    for position in links.indices {
      links[position].cuts = 0
      links[position].slowness = 0
    }
  }
}
