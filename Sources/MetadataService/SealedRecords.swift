import EventLoop
import MetadataLog
import ProtocolMetadata
import RPC

/// Records as they go to subscribers, serialized once for all of them. Holds those that were asked for last.
@LoopActor
final class SealedRecords {
  typealias Message = RPCSerialized<Kunlog_Metadata_V1_SealedSubscribeResponse>

  private static let limitBytes = 1024 * 1024
  private var messages: [UInt64: Message] = [:]
  private var sizeBytes = 0

  nonisolated init() {}

  func message(_ element: RecentRecords.Element) throws(RPCError) -> Message {
    if let known = messages[element.index] { return known }
    let message = try Message(
      .with {
        $0.record = .init(index: element.index, term: element.term, hash: element.hash, body: element.body)
      })
    // Who follows the present asks for the same few; there is no need to know which of them is the oldest.
    if sizeBytes + message.sizeBytes > Self.limitBytes {
      messages.removeAll(keepingCapacity: true)
      sizeBytes = 0
    }
    messages[element.index] = message
    sizeBytes += message.sizeBytes
    return message
  }

  /// Several, to be sent as one.
  func messages(_ elements: [RecentRecords.Element]) throws(RPCError) -> Message {
    guard elements.count != 1 else { return try message(elements[0]) }
    var all: [Message] = []
    all.reserveCapacity(elements.count)
    for element in elements { all.append(try message(element)) }
    return Message(joining: all)
  }
}
