import ProtocolMetadata
import RPC

/// The methods of `kunlog.metadata.v1.Metadata`, as a client calls them.
enum MetadataMethods {
  private static let service = "kunlog.metadata.v1.Metadata"
  static let append = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
    service: service, method: "Append")
  static let appendStream = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
    service: service, method: "AppendStream")
  static let readIndex = RPCMethod<Kunlog_Metadata_V1_ReadIndexRequest, Kunlog_Metadata_V1_ReadIndexResponse>(
    service: service, method: "ReadIndex")
  /// Sealed: records are verified before they are opened.
  static let subscribe = RPCMethod<Kunlog_Metadata_V1_SubscribeRequest, Kunlog_Metadata_V1_SealedSubscribeResponse>(
    service: service, method: "Subscribe")
  static let status = RPCMethod<Kunlog_Metadata_V1_StatusRequest, Kunlog_Metadata_V1_StatusResponse>(
    service: service, method: "Status")
}
