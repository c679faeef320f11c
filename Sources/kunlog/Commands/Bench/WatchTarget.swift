import EventLoop
import FoundationEssentials
import ProtocolEtcd
import ProtocolMetadata
import RPC

/// How subscribers of either system are opened, and what they are sent is read.
@LoopActor
struct WatchTarget {
  private static let subscribe = RPCMethod<
    Kunlog_Metadata_V1_SubscribeRequest, Kunlog_Metadata_V1_SealedSubscribeResponse
  >(service: "kunlog.metadata.v1.Metadata", method: "Subscribe")
  private static let watch = RPCMethod<Etcdserverpb_WatchRequest, Etcdserverpb_WatchResponse>(
    service: "etcdserverpb.Watch", method: "Watch")

  let system: BenchTarget.System

  /// Where in a message the values are that were appended.
  var path: ArraySlice<UInt64> {
    switch system {
    // record, body, events, note_recorded, content
    case .kunlog: [1, 4, 5, 100, 2]
    // events, kv, value
    case .etcd: [11, 2, 5]
    }
  }

  /// Begins a subscription to everything that follows an index.
  func open(
    _ channel: RPCChannel, after index: UInt64, onMessage: @escaping @LoopActor (UnsafeRawBufferPointer) -> Void,
    onEnd: @escaping @LoopActor (RPCError?) -> Void
  ) -> RPCCall {
    switch system {
    case .kunlog:
      channel.byteStream(Self.subscribe, .with { $0.afterIndex = index }, onMessage: onMessage, onEnd: onEnd)
    case .etcd:
      channel.byteStream(Self.watch, Self.all, keepsOpen: true, onMessage: onMessage, onEnd: onEnd)
    }
  }

  /// Begins one of which nothing is ever taken; what is returned keeps it.
  func openStalled(_ channel: RPCChannel, after index: UInt64) -> AnyObject {
    switch system {
    case .kunlog: return channel.serverStream(Self.subscribe, .with { $0.afterIndex = index })
    case .etcd:
      let (writer, reader) = channel.bidirectional(Self.watch)
      _ = writer.trySend(Self.all)
      return reader
    }
  }

  /// All keys, as etcd has it.
  private static var all: Etcdserverpb_WatchRequest {
    .with {
      $0.createRequest = .with {
        $0.key = Data([0])
        $0.rangeEnd = Data([0])
      }
    }
  }
}
