import Metadata
import ProtocolMetadata
import SwiftProtobuf

extension Event {
  /// One JSON object: `kind`, and the event as the protocol's JSON has it, under the name that it has in event.proto.
  package func json() throws(WireError) -> String {
    var options = JSONEncodingOptions()
    options.preserveProtoFieldNames = true
    do {
      let text = try wire.jsonString(options: options)
      return "{\"kind\":\"\(kind)\",\(text.dropFirst())"
    } catch { throw .malformed("event to encode: \(error)") }
  }
}
