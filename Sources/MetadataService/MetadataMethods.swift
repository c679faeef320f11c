import ProtocolMetadata
import RPC

/// The methods of `kunlog.metadata.v1.Metadata`, as a meta node serves them.
enum MetadataMethods {
  static let service = "kunlog.metadata.v1.Metadata"
  static let append = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
    service: service, method: "Append")
  static let appendStream = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
    service: service, method: "AppendStream")
  static let readImage = RPCMethod<Kunlog_Metadata_V1_ReadImageRequest, Kunlog_Metadata_V1_ImagePart>(
    service: service, method: "ReadImage")
  static let readIndex = RPCMethod<Kunlog_Metadata_V1_ReadIndexRequest, Kunlog_Metadata_V1_ReadIndexResponse>(
    service: service, method: "ReadIndex")
  /// Sealed: bodies are sent as they were logged.
  static let subscribe = RPCMethod<Kunlog_Metadata_V1_SubscribeRequest, Kunlog_Metadata_V1_SealedSubscribeResponse>(
    service: service, method: "Subscribe")
  static let status = RPCMethod<Kunlog_Metadata_V1_StatusRequest, Kunlog_Metadata_V1_StatusResponse>(
    service: service, method: "Status")
}
