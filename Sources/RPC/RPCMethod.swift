import SwiftProtobuf

/// A method of a service: its path and the types of its messages.
package struct RPCMethod<Request: Message & Sendable, Response: Message & Sendable>: Sendable {
  /// `/package.Service/Method`.
  package let path: String

  /// A method by its path, `/package.Service/Method`.
  package init(path: String) {
    self.path = path
  }

  /// A method of a service, such as `kunlog.metadata.v1.Metadata`.
  package init(service: String, method: String) {
    path = "/\(service)/\(method)"
  }
}
