import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// `kunlog log at`: the metadata as it was.
struct LogAt: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "at", abstract: "Show the metadata as it was at an index or a time.",
    discussion: """
      Other commands show more of it with --at: kunlog table list, table show, shard list, cluster status.
        kunlog log at --index 1200
        kunlog log at --time 2h --list table,tablet
        kunlog log at --index 1200 --path /transactions/open
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "Index of the log.")
  var index: UInt64?

  @Option(name: .long, help: "Time: \(AuditTime.help).")
  var time: String?

  @Option(name: .long, help: "All objects of these kinds, with their fields: table, tablet, … or all; comma-separated.")
  var list: String?

  @Option(name: .long, help: "What is at this path of the image, seen as a tree of folders: / shows which there are.")
  var path: String?

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  func validate() throws {
    guard (index == nil) != (time == nil) else { throw ValidationError("Say when: --index N or --time T.") }
    guard path == nil || list == nil else { throw ValidationError("--path shows one place, --list objects: give one.") }
    _ = try Moment.time(time)
    _ = try kinds()
  }

  private var names: [String] { (list ?? "").split(separator: ",").map { $0.lowercased() } }

  private var isAll: Bool { names.contains("all") }

  private func kinds() throws -> [ObjectKind] {
    if isAll { return ObjectKind.allCases }
    return try names.map { name in
      // tables as well as table.
      guard let kind = ObjectKind(rawValue: name) ?? ObjectKind(rawValue: String(name.dropLast())) else {
        throw ValidationError(
          "There are no objects '\(name)': \(ObjectKind.allCases.map(\.rawValue).joined(separator: ", ")), or all.")
      }
      return kind
    }
  }

  @LoopActor
  func run() async throws {
    let moment: Moment = try index.map { .index($0) } ?? .time(Moment.time(time) ?? 0)
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let past = try await PastImage.read(client, cluster, at: moment)
    if let path { return try MetaImage.show(path, of: past.image, json: json) }
    let report = ImageReport(past, listing: try kinds(), isAll: isAll)
    StandardStream.output.write((json ? JSONDocument.text(report) : report.text) + "\n")
  }
}

/// What an image holds, in numbers and, where that is wanted, one by one.
struct ImageReport: Codable, Sendable {
  var index: UInt64
  var time: String?
  var hash: String
  var clusterID: String
  var clusterName: String
  var featureLevel: UInt32
  var counts: [String: Int]
  var objects: [ObjectDescription]
  /// What is no object of a kind: functions, what is under way, what has ended lately.
  var places: [ImagePlaces.Value]

  private var otherCounts: [String] = []

  enum CodingKeys: String, CodingKey {
    case index, time, hash, counts, objects, places
    case clusterID = "cluster_id"
    case clusterName = "cluster_name"
    case featureLevel = "feature_level"
  }

  init(_ past: PastImage, listing kinds: [ObjectKind], isAll: Bool = false) {
    let image = past.image
    index = image.index
    time = past.timeMicroseconds.map(AuditTime.text)
    hash = "\(image.hash)"
    clusterID = image.clusterID?.hexadecimal ?? ""
    clusterName = image.clusterName
    featureLevel = image.featureLevel
    counts = Dictionary(uniqueKeysWithValues: ObjectKind.allCases.map { ($0.rawValue, image.count($0)) })
    objects = kinds.flatMap(image.descriptions)
    places = isAll ? ImagePlaces.values(image) : []
    for (name, plural, count) in ImagePlaces.counts(image) {
      counts[name] = count
      if count > 0 { otherCounts.append("\(count) \(count == 1 ? name : plural)") }
    }
  }

  /// For people.
  var text: String {
    var lines = [
      "index \(index)" + (time.map { ", \($0)" } ?? ""), "hash \(hash)",
      "cluster \(clusterName) (\(clusterID)), feature level \(featureLevel)",
      (ObjectKind.allCases.filter { $0 != .cluster }.compactMap { kind in
        let count = counts[kind.rawValue] ?? 0
        return count == 0 ? nil : "\(count) \(Self.noun(kind, count))"
      } + otherCounts).joined(separator: ", "),
    ]
    for object in objects {
      lines.append("\(object.kind) \(object.name)" + (object.id == object.name ? "" : " (\(object.id))"))
      for field in object.fields where field.name != "name" && !field.value.isEmpty {
        lines.append("  \(field.name): \(field.value)")
      }
    }
    for place in places { lines.append("\(place.path): \(place.value)") }
    return lines.joined(separator: "\n")
  }

  private static func noun(_ kind: ObjectKind, _ count: Int) -> String {
    if count == 1 { return kind.rawValue }
    return kind == .index ? "indexes" : kind.rawValue + "s"
  }
}
