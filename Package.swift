// swift-tools-version: 6.2
// The targets and the arrows between them are the architecture: `tools/lint` checks the walls,
// `tools/generate diagram` draws them into ARCHITECTURE.md.
import PackageDescription

/// Swift 6 language mode for all; a warning is an error.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// The simulator runs on one thread; its tests have the checks that accesses do not overlap, which cost a tenth of its time.
let unchecked: [SwiftSetting] = [
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

/// How the executable is linked: by LLVM's linker, which needs a tenth of the default one's time, with relative relocations
/// in their packed form and without a table of all symbols. The last two are read at each start, by each of a cluster's
/// processes: together they save 4 MB of resident memory per process.
let linking: [LinkerSetting] = [
  .unsafeFlags([
    "-use-ld=lld", "-Xlinker", "--no-export-dynamic", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
  ])
]

/// A target of this package, with the settings that all share.
func target(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// The tests of a target.
func tests(
  _ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = [], resources: [Resource] = []
) -> Target {
  .testTarget(name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: strict)
}

let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let hashTrees: Target.Dependency = .product(name: "HashTreeCollections", package: "swift-collections")

let package = Package(
  name: "kunlog",
  products: [.executable(name: "kunlog", targets: ["kunlog"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
  ],
  targets: [
    // System libraries.
    .systemLibrary(name: "CLibUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CPgQuery", providers: [.apt(["libpg-query-dev"])]),

    // Pure: values in, values out.
    target("Raft"),
    target("ReplicaCore", ["Raft"]),
    target("SegmentedLog", ["Raft"]),
    .target(
      name: "Simulator",
      dependencies: [
        "Coordination", "Metadata", "MetadataLog", "Raft", "ReplicaCore", "SegmentedLog", "SQLTypes", hashTrees,
      ],
      swiftSettings: strict + unchecked),
    target("SQLTypes"),
    target("SQLTree", ["SQLTypes"]),
    target("Metadata", ["SQLTypes", hashTrees]),
    target("Coordination", ["Metadata"]),
    target("MetadataAudit", ["Metadata", "SQLTypes", hashTrees]),
    target("MetadataLog", ["Metadata", "MetadataWire", "SQLTypes"]),
    target("SQLPlan", ["SQLTree", "SQLTypes", "Metadata"]),
    target("PostgresWire", ["SQLTypes"]),
    target("TabletSQL", ["Metadata", "SQLTypes"]),
    target("Metrics"),

    // Shell: clocks, threads, files, sockets.
    target("EventLoop", ["CLibUV", "COpenSSL", logging]),
    target("Monitoring", ["EventLoop", "Metrics", logging]),
    target("RPC", ["EventLoop", "CNGHTTP2", "Metrics", "ProtocolGRPC", protobuf, logging]),
    target("AccessControl", ["EventLoop", "Metadata", "RPC", logging]),
    target("LogStore", ["Raft", "SegmentedLog", "EventLoop", "Metrics"]),
    target("ProtocolGRPC", [protobuf]),
    target("ProtocolEtcd", [protobuf]),
    target("ProtocolRaft", [protobuf]),
    target("ProtocolMetadata", [protobuf]),
    target("ProtocolStorage", [protobuf]),
    target(
      "Replica",
      [
        "Raft", "ReplicaCore", "SegmentedLog", "LogStore", "EventLoop", "Metrics", "RPC", "ProtocolRaft", protobuf,
        logging,
      ]),
    target(
      "ReplicationGroup",
      [
        "AccessControl", "EventLoop", "Metadata", "MetadataWire", "ProtocolMetadata", "RPC", "Raft", "Replica",
        "SQLTypes", logging,
      ]),
    target("MetadataWire", ["Metadata", "ProtocolMetadata", "SQLTypes", hashTrees, protobuf]),
    target(
      "MetadataService",
      [
        "AccessControl", "Metadata", "MetadataLog", "MetadataWire", "Metrics", "ProtocolMetadata", "Raft", "Replica",
        "ReplicationGroup", "SegmentedLog", "LogStore", "EventLoop", "RPC", "SQLTypes", logging,
      ]),
    target("MetadataClient", ["Metadata", "MetadataWire", "Metrics", "ProtocolMetadata", "EventLoop", "RPC", logging]),
    target("SQLParser", ["SQLTree", "SQLTypes", "CPgQuery"]),
    target("SQLite", ["SQLTypes", "CSQLite"]),
    target("StorageWire", ["Coordination", "EventLoop", "Metadata", "ProtocolStorage", "RPC", protobuf]),
    target("StorageEngine", ["EventLoop", "SQLTypes", "Metadata"]),
    target(
      "SQLiteEngine",
      ["StorageEngine", "EventLoop", "Metadata", "SQLTypes", "SQLite", "TabletSQL", "SegmentedLog", "CSQLite"]),
    target(
      "StorageNode",
      [
        "AccessControl", "Coordination", "StorageEngine", "EventLoop", "Metadata", "MetadataClient", "Metrics",
        "ProtocolStorage", "RPC", "StorageWire",
        "Raft", "Replica", "ReplicationGroup", "SQLTypes",
        logging, protobuf,
      ]),
    target(
      "ComputeNode",
      [
        "AccessControl", "Coordination", "EventLoop", "Metadata", "MetadataClient", "Metrics", "PostgresWire",
        "ProtocolStorage", "RPC", "StorageWire",
        "SQLParser", "SQLPlan", "SQLTree", "SQLTypes", "SQLite", "TabletSQL", "COpenSSL", logging,
      ]),
    target(
      "ClusterManager",
      [
        "AccessControl", "Coordination", "Metadata", "MetadataClient", "Metrics", "EventLoop", "RPC", "StorageWire",
        logging,
      ]),
    .executableTarget(
      name: "kunlog",
      dependencies: [
        "AccessControl", "ClusterManager", "ComputeNode", "Coordination", "EventLoop", "Metadata", "MetadataAudit",
        "MetadataClient",
        "MetadataLog", "MetadataService", "MetadataWire", "Metrics", "Monitoring", "PostgresWire", "ProtocolEtcd",
        "ProtocolMetadata",
        "RPC", "SQLTypes", "SQLite", "SQLiteEngine", "SegmentedLog",
        "Simulator",
        "StorageNode", "StorageWire", arguments, logging,
      ],
      swiftSettings: strict, linkerSettings: linking),
    tests("ClusterTests", ["kunlog"], exclude: ["Clients"]),
    tests(
      "ComputeNodeTests",
      [
        "ComputeNode", "Coordination", "EventLoop", "Metadata", "MetadataClient", "PostgresWire", "SQLite", "SQLParser",
        "SQLPlan",
        "SQLTree", "SQLTypes",
      ]),
    tests("CoordinationTests", ["Coordination", "Metadata"]),
    tests("EventLoopTests", ["EventLoop"]),
    tests("LogStoreTests", ["EventLoop", "LogStore", "Raft", "SegmentedLog"]),
    tests(
      "MetadataServiceTests",
      [
        "AccessControl", "Metadata", "MetadataClient", "MetadataService", "MetadataWire", "ProtocolMetadata",
        "ProtocolRaft", "Raft", "Metrics", "EventLoop", "RPC", "SQLTypes", "LogStore", "SegmentedLog",
      ]),
    tests(
      "MetaFaultTests",
      [
        "kunlog", "AccessControl", "EventLoop", "Metadata", "MetadataClient", "ProtocolMetadata", "RPC", "SQLTypes",
        "Simulator",
      ],
      exclude: ["Network"]),
    tests("MetricsTests", ["Metrics"]),
    tests("MonitoringTests", ["EventLoop", "Metrics", "Monitoring", logging]),
    tests("MetadataTests", ["Metadata", "MetadataWire", "ProtocolMetadata", protobuf]),
    tests("MetadataAuditTests", ["Metadata", "MetadataAudit", "SQLTypes"]),
    tests("MetadataLogTests", ["Metadata", "MetadataLog", "MetadataWire", "SQLTypes"]),
    tests("PostgresWireTests", ["PostgresWire"]),
    tests("RPCTests", ["RPC", "EventLoop", protobuf], exclude: ["Protos", "Python"]),
    tests("RaftTests", ["Raft"], resources: [.copy("Traces")]),
    tests("ReplicaCoreTests", ["Raft", "ReplicaCore"]),
    tests(
      "ReplicaTests",
      ["EventLoop", "LogStore", "ReplicaCore", "SegmentedLog", "Raft", "Replica", "RPC", "ProtocolRaft"]),
    tests("SegmentedLogTests", ["Raft", "SegmentedLog"]),
    tests("SimulatorTests", ["SegmentedLog", "Simulator"]),
    tests("SQLParserTests", ["SQLParser"]),
    tests("SQLPlanTests", ["Metadata", "SQLParser", "SQLPlan", "SQLTypes", "SQLite", hashTrees]),
    tests("SQLTypesTests", ["SQLTypes"]),
    tests("SQLiteEngineTests", ["SQLiteEngine", "CSQLite"]),
    tests("StorageNodeTests", ["StorageNode", "SQLiteEngine", "ComputeNode", "ReplicationGroup", "RPC"]),
    tests("SQLiteTests", ["SQLite", "SQLTypes"]),
  ],
  swiftLanguageModes: [.v6])
