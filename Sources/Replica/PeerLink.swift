import EventLoop
import Logging
import ProtocolRaft
import RPC
import Raft

/// This member's stream of messages to another one: connects, says who calls, and connects anew when it breaks.
///
/// Messages of a turn travel together. While the stream is not welcomed, or full, messages are dropped: consensus sends
/// what matters again.
@LoopActor
final class PeerLink: TurnParticipant {
  private(set) var member: Member
  private(set) var channel: RPCChannel
  // Where the member may be as well: tried in turn while it is not reached.
  private var alternatives: [String]
  private let tls: TLSConfiguration?
  /// What it says first on each stream: this member's own address may have changed since the last one.
  private let hello: @LoopActor () -> Kunlog_Raft_V1_Hello
  private let logger: Logger
  private weak var receiver: (any RaftReceiver)?
  private var writer: RPCWriter<Kunlog_Raft_V1_ExchangeRequest>?
  private var reader: RPCReader<Kunlog_Raft_V1_ExchangeResponse>?
  private var isWelcome = false
  private var isClosed = false
  private var queued = Kunlog_Raft_V1_ExchangeRequest()
  private var queuedBytes = 0
  private var isRegistered = false
  private var retryMilliseconds = PeerLink.firstRetryMilliseconds
  private var retryTimer: LoopTimer?
  private var lastComplaint = ""

  private static let firstRetryMilliseconds = 25
  private static let lastRetryMilliseconds = 500
  private static let maximumQueuedBytes = 16 * 1024 * 1024
  private static let maximumRequestBytes = 1024 * 1024

  /// - Parameter addresses: where the member may be, at least one; the first is tried first.
  init(
    id: NodeID, addresses: [String], hello: @escaping @LoopActor () -> Kunlog_Raft_V1_Hello, tls: TLSConfiguration?,
    receiver: any RaftReceiver, logger: Logger
  ) {
    member = Member(id: id, address: addresses[0])
    alternatives = Array(addresses.dropFirst())
    self.tls = tls
    self.hello = hello
    self.receiver = receiver
    self.logger = logger
    channel = Self.channel(to: member.address, tls: tls)
  }

  private static func channel(to address: String, tls: TLSConfiguration?) -> RPCChannel {
    var options = RPCOptions()
    options.initialBackoffMilliseconds = Self.firstRetryMilliseconds
    options.maximumBackoffMilliseconds = Self.lastRetryMilliseconds
    options.writerQueueBytes = 4 * 1024 * 1024
    options.keepaliveMilliseconds = 3_000
    options.keepaliveTimeoutMilliseconds = 3_000
    let (host, port) = split(address)
    return RPCChannel(host: host, port: port, tls: tls, options: options)
  }

  private static func split(_ address: String) -> (host: String, port: Int) {
    guard let colon = address.lastIndex(of: ":") else { return (address, 0) }
    var host = address[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return (String(host), Int(address[address.index(after: colon)...]) ?? 0)
  }

  /// Whether it waits before it connects anew.
  var isPausing: Bool { !isClosed && reader == nil && retryTimer != nil }
  /// Whether messages reach the member.
  var isOpen: Bool { isWelcome }
  /// Where the member may be, the present address first.
  var addresses: [String] { [member.address] + alternatives }

  func open() {
    guard !isClosed, reader == nil else { return }
    let (writer, reader) = channel.bidirectional(RaftService.exchange)
    self.writer = writer
    self.reader = reader
    reader.onMessage = { [weak self] _ in self?.welcomed() }
    reader.onEnd = { [weak self] error in self?.ended(error) }
    writer.onReady = { [weak self] in self?.sendQueued() }
    if !writer.trySend(.with { $0.hello = hello() }) { reader.cancel() }
  }

  func close() {
    isClosed = true
    retryTimer?.cancel()
    let reader = reader
    self.reader = nil
    writer = nil
    isWelcome = false
    reader?.cancel()
    channel.close()
  }

  /// - Parameter encoded: the entries that were encoded last, maybe for another member.
  func send(_ message: Message, _ encoded: inout EncodedEntries) {
    guard isWelcome else { return }
    if queuedBytes >= Self.maximumRequestBytes { sendQueued() }
    guard queuedBytes < Self.maximumQueuedBytes else { return }
    queued.messages.append(message.wire(&encoded))
    queuedBytes += 64
    if case .appendRequest(let request) = message.body {
      for entry in request.entries { queuedBytes += entry.sizeBytes }
    }
    guard !isRegistered else { return }
    isRegistered = true
    Loop.callAtEndOfTurn(self)
  }

  func endOfTurn() {
    isRegistered = false
    sendQueued()
  }

  private func sendQueued() {
    guard isWelcome, !queued.messages.isEmpty, let writer, writer.isReady else { return }
    if !writer.trySend(queued) { logger.error("messages to member \(member.id) are too long to be sent") }
    dropQueued()
  }

  private func dropQueued() {
    queued.messages.removeAll(keepingCapacity: queued.messages.count <= 256)
    queuedBytes = 0
  }

  private func welcomed() {
    guard !isWelcome, !isClosed else { return }
    isWelcome = true
    retryMilliseconds = Self.firstRetryMilliseconds
    lastComplaint = ""
    receiver?.connected(to: member.id)
  }

  private func tryNextAddress() {
    guard !isClosed, let next = alternatives.first else { return }
    alternatives.removeFirst()
    alternatives.append(member.address)
    member.address = next
    channel.close()
    channel = Self.channel(to: next, tls: tls)
  }

  private func ended(_ error: RPCError?) {
    guard !isClosed else { return }
    let wasWelcome = isWelcome
    isWelcome = false
    reader = nil
    writer = nil
    dropQueued()
    let complaint = error?.description ?? "it ended the stream"
    if complaint != lastComplaint {
      logger.info("no stream to member \(member.id) at \(member.address): \(complaint)")
      lastComplaint = complaint
    }
    retryTimer = LoopTimer(afterMilliseconds: retryMilliseconds) { [weak self] in
      if !wasWelcome { self?.tryNextAddress() }
      self?.open()
    }
    retryMilliseconds = min(retryMilliseconds * 2, Self.lastRetryMilliseconds)
    if wasWelcome { receiver?.disconnected(from: member.id) }
  }
}
