import Metadata
import MetadataAudit
import MetadataWire

/// A record as JSON, on one line. Events are as in the protocol's JSON (event.proto).
enum RecordJSON {
  static func text(_ record: Record) -> String {
    var fields = [
      "\"index\":\(record.index)", "\"term\":\(record.term)",
      "\"time\":\(quoted(RecordTime.text(record.timeMicroseconds)))",
      "\"time_microseconds\":\(record.timeMicroseconds)", "\"principal\":\(quoted(record.principal))",
    ]
    if let id = record.requestID {
      fields.append("\"request_id\":{\"client\":\(quoted(id.client)),\"sequence\":\(id.sequence)}")
    }
    if let cause = record.cause { fields.append("\"cause\":\(cause)") }
    let events = record.events.map { event in
      (try? event.json()) ?? "{\"kind\":\"\(event.kind)\"}"
    }
    fields.append("\"events\":[\(events.joined(separator: ","))]")
    fields.append("\"previous_index\":\(record.previousIndex)")
    fields.append("\"previous_hash\":\"\(record.previousHash)\"")
    fields.append("\"hash\":\"\(record.hash)\"")
    return "{\(fields.joined(separator: ","))}"
  }

  private static func quoted(_ text: String) -> String { JSONDocument.quoted(text) }
}

/// A record's time, in UTC with milliseconds.
enum RecordTime {
  static func text(_ microseconds: Int64) -> String { AuditTime.text(microseconds) }
}
