import EventLoop
import ProtocolGRPC
import SwiftProtobuf

/// The files that reflection can describe. Descriptors are parsed at the first question: most servers are never asked.
@LoopActor
final class ReflectionRegistry {
  private var unparsed: [StaticString] = []
  /// Serialized descriptors and imports by file name.
  private var files: [String: (bytes: [UInt8], imports: [String])] = [:]
  /// The file that declares a symbol, by its full name.
  private var fileBySymbol: [String: String] = [:]
  var listServices: @LoopActor () -> [String] = { [] }

  nonisolated init() {}

  func add(_ fileDescriptorSet: StaticString) { unparsed.append(fileDescriptorSet) }

  /// The descriptors of the file and of all that it imports, itself first; nil where it is not known.
  func file(_ name: String) -> [[UInt8]]? {
    parse()
    guard files[name] != nil else { return nil }
    var found: [[UInt8]] = []
    var pending = [name]
    var seen: Set<String> = [name]
    while !pending.isEmpty {
      let name = pending.removeFirst()
      guard let file = files[name] else { continue }
      found.append(file.bytes)
      for imported in file.imports where seen.insert(imported).inserted { pending.append(imported) }
    }
    return found
  }

  /// The same for the file that declares the symbol: a service, method, message, field or enumeration.
  func file(declaring symbol: String) -> [[UInt8]]? {
    parse()
    var name = symbol[...]
    while true {
      if let file = fileBySymbol[String(name)] { return self.file(file) }
      // A field or a value is found with what contains it.
      guard let dot = name.lastIndex(of: ".") else { return nil }
      name = name[..<dot]
    }
  }

  private func parse() {
    let sets = unparsed
    unparsed = []
    for set in sets {
      let text = UnsafeBufferPointer(start: set.utf8Start, count: set.utf8CodeUnitCount)
      guard let bytes = Base64.decode(text),
        let descriptors = try? Google_Protobuf_FileDescriptorSet(serializedBytes: bytes)
      else { preconditionFailure("a descriptor set that tools/generate has not made") }
      for file in descriptors.file where files[file.name] == nil {
        guard let bytes: [UInt8] = try? file.serializedBytes() else { continue }
        files[file.name] = (bytes, file.dependency)
        index(file)
      }
    }
  }

  private func index(_ file: Google_Protobuf_FileDescriptorProto) {
    let prefix = file.package.isEmpty ? "" : file.package + "."
    for service in file.service { fileBySymbol[prefix + service.name] = file.name }
    for enumeration in file.enumType { fileBySymbol[prefix + enumeration.name] = file.name }
    // Nested ones are found with the outermost.
    for message in file.messageType { fileBySymbol[prefix + message.name] = file.name }
  }
}

/// The standard reflection service. Its two versions differ in the name only.
@LoopActor
enum ReflectionService {
  private typealias Request = Grpc_Reflection_V1_ServerReflectionRequest
  private typealias Response = Grpc_Reflection_V1_ServerReflectionResponse

  static func register(_ registry: ReflectionRegistry, _ server: RPCServer) {
    registry.add(ProtocolGRPCDescriptors.fileDescriptorSet)
    for version in ["v1", "v1alpha"] {
      let method = RPCMethod<Request, Response>(
        service: "grpc.reflection.\(version).ServerReflection", method: "ServerReflectionInfo")
      server.handleBidirectional(method) { reader, writer, _ in
        while let request = try await reader.next() {
          try await writer.send(answer(request, registry))
        }
      }
    }
  }

  private static func answer(_ request: Request, _ registry: ReflectionRegistry) -> Response {
    var response = Response()
    response.validHost = request.host
    response.originalRequest = request
    switch request.messageRequest {
    case .fileByFilename(let name): setFiles(&response, registry.file(name), "file \(name)")
    case .fileContainingSymbol(let symbol): setFiles(&response, registry.file(declaring: symbol), "symbol \(symbol)")
    case .listServices:
      response.listServicesResponse.service = registry.listServices().map { name in .with { $0.name = name } }
    case .allExtensionNumbersOfType(let type):
      // proto3 files have no extensions; the type must exist all the same.
      if registry.file(declaring: type) != nil {
        response.allExtensionNumbersResponse.baseTypeName = type
      } else {
        setFiles(&response, nil, "type \(type)")
      }
    case .fileContainingExtension(let wanted):
      setFiles(&response, nil, "extension \(wanted.extensionNumber) of \(wanted.containingType)")
    case nil:
      response.errorResponse.errorCode = Int32(RPCStatusCode.invalidArgument.rawValue)
      response.errorResponse.errorMessage = "an empty request"
    }
    return response
  }

  private static func setFiles(_ response: inout Response, _ files: [[UInt8]]?, _ what: String) {
    if let files {
      response.fileDescriptorResponse = .with { $0.fileDescriptorProto = files.map { bytes in .init(bytes) } }
    } else {
      response.errorResponse.errorCode = Int32(RPCStatusCode.notFound.rawValue)
      response.errorResponse.errorMessage = "unknown \(what)"
    }
  }
}
