import HashTreeCollections
import Metadata

/// What differs between two images: a value, from which nothing can be told that the images do not say. What only keeps the
/// books (versions, results of requests, counters of identities) is left out.
package struct ImageDiff: Sendable, Equatable, Codable {
  /// A field of an object that is in both images.
  package struct FieldChange: Sendable, Equatable, Codable {
    package var name: String
    /// nil where the object did not have the field.
    package var before: String?
    /// nil where the object has it no more.
    package var after: String?
    package init(_ name: String, before: String?, after: String?) {
      self.name = name
      self.before = before
      self.after = after
    }
  }

  /// An object that is in both images, but not alike.
  package struct ObjectChange: Sendable, Equatable, Codable {
    package var kind: String
    package var id: String
    /// In the later image.
    package var name: String
    package var fields: [FieldChange]
    package init(kind: String, id: String, name: String, fields: [FieldChange]) {
      self.kind = kind
      self.id = id
      self.name = name
      self.fields = fields
    }
  }

  /// The image's index.
  package var from: UInt64
  package var to: UInt64
  package var added: [ObjectDescription] = []
  package var removed: [ObjectDescription] = []
  package var changed: [ObjectChange] = []
  /// What has changed beside the objects: functions, transactions, what has ended.
  package var places: [ImagePlaces.Change] = []

  /// The steps from one image to another, by kind, then by identity.
  package init(from before: Image, to after: Image) {
    from = before.index
    to = after.index
    compareCluster(before, after)
    compare(before, after, \.nodes, Image.describe)
    compare(before, after, \.shards, Image.describe)
    let beside = Self.beside(before, after)
    compare(before, after, \.databases, beside: beside, Image.describe)
    compare(before, after, \.schemas, beside: beside, Image.describe)
    compare(before, after, \.roles, beside: beside, Image.describe)
    compare(before, after, \.tables, beside: beside, Image.describe)
    compare(before, after, \.indexes, Image.describe)
    compare(before, after, \.sequences, beside: beside, Image.describe)
    compare(before, after, \.views, beside: beside, Image.describe)
    compare(before, after, \.tablets, Image.describe)
    compare(before, after, \.migrations.open, Image.describe)
    places = ImagePlaces.changes(from: before, to: after)
  }

  package var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty && places.isEmpty }

  /// Objects of which something has changed that does not stand in their definitions: privileges, memberships, the query whose rows
  /// a table holds.
  private static func beside(_ before: Image, _ after: Image) -> Set<ObjectID> {
    func differing<Value: Equatable>(_ map: KeyPath<Image, TreeDictionary<ObjectID, Value>>) -> Set<ObjectID> {
      let (old, new) = (before[keyPath: map], after[keyPath: map])
      return Set(new.compactMap { old[$0.key] == $0.value ? nil : $0.key })
        .union(old.compactMap { new[$0.key] == nil ? $0.key : nil })
    }
    return differing(\.grants).union(differing(\.memberships)).union(differing(\.materializedViews))
  }

  private mutating func compareCluster(_ before: Image, _ after: Image) {
    let old = before.descriptions(.cluster).first
    let new = after.descriptions(.cluster).first
    if let old, let new {
      change(old, new)
    } else if let new {
      added.append(new)
    } else if let old {
      removed.append(old)
    }
    for name in Set(before.settings.keys).union(after.settings.keys).sorted() {
      step(
        before.settings[name] == nil ? nil : before.describeSetting(name),
        after.settings[name] == nil ? nil : after.describeSetting(name))
    }
    for name in Set(before.notes.keys).union(after.notes.keys).sorted() {
      step(before.describeTopic(name), after.describeTopic(name))
    }
  }

  /// Objects of a kind: what is equal is not put into words.
  private mutating func compare<Key: Comparable, Value: Equatable>(
    _ before: Image, _ after: Image, _ map: KeyPath<Image, TreeDictionary<Key, Value>>, beside: Set<Key> = [],
    _ describe: (Image) -> (Value) -> ObjectDescription
  ) {
    let (old, new) = (before[keyPath: map], after[keyPath: map])
    var keys = new.compactMap { old[$0.key] == $0.value ? nil : $0.key }
    keys += old.compactMap { new[$0.key] == nil ? $0.key : nil }
    keys += beside.filter { old[$0] != nil && old[$0] == new[$0] }
    for key in keys.sorted() { step(old[key].map(describe(before)), new[key].map(describe(after))) }
  }

  private mutating func step(_ old: ObjectDescription?, _ new: ObjectDescription?) {
    switch (old, new) {
    case (nil, let new?): added.append(new)
    case (let old?, nil): removed.append(old)
    case (let old?, let new?): change(old, new)
    case (nil, nil): break
    }
  }

  private mutating func change(_ old: ObjectDescription, _ new: ObjectDescription) {
    let before = Dictionary(old.fields.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    let after = Dictionary(new.fields.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    var fields: [FieldChange] = []
    for field in new.fields where before[field.name] != field.value {
      fields.append(FieldChange(field.name, before: before[field.name], after: field.value))
    }
    for field in old.fields where after[field.name] == nil {
      fields.append(FieldChange(field.name, before: field.value, after: nil))
    }
    guard !fields.isEmpty else { return }
    changed.append(ObjectChange(kind: new.kind, id: new.id, name: new.name, fields: fields))
  }

  /// For people: `+` what is new, `-` what is gone, `~` what has changed, with what it was and what it is.
  package var text: String {
    var lines = ["from index \(from) to index \(to)"]
    if isEmpty { lines.append("nothing differs") }
    for object in removed { lines.append("- \(object.kind) \(object.name) (\(object.id))") }
    for object in added {
      lines.append("+ \(object.kind) \(object.name) (\(object.id))")
      for field in object.fields where field.name != "name" && !field.value.isEmpty {
        lines.append("      \(field.name): \(field.value)")
      }
    }
    for object in changed {
      lines.append("~ \(object.kind) \(object.name) (\(object.id))")
      for field in object.fields {
        lines.append("      \(field.name): \(field.before ?? "(nothing)") -> \(field.after ?? "(nothing)")")
      }
    }
    for place in places {
      switch (place.before, place.after) {
      case (nil, let after?): lines.append("+ \(place.path): \(after)")
      case (let before?, nil): lines.append("- \(place.path): \(before)")
      default: lines.append("~ \(place.path): \(place.before ?? "") -> \(place.after ?? "")")
      }
    }
    return lines.joined(separator: "\n")
  }
}
