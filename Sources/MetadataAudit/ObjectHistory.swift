import Metadata

/// Every event that touched an object during its life, or during each of its lives where the name was used again: what
/// `kunlog log blame` shows. A fold over records.
package struct ObjectHistory: Sendable {
  /// A record that touched the object.
  package struct Entry: Sendable, Equatable {
    /// With only the events that touched it.
    package var record: Record
    /// Notes that name the record as what they are about.
    package var notes: [Record] = []
    /// The record that made somebody ask for this one, where it is at hand.
    package var cause: Record?
  }

  /// One object that bore the name.
  package struct Life: Sendable, Equatable {
    package var identity: ObjectIdentity
    /// When it was created; nil where that is before the history.
    package var createdAt: UInt64?
    /// When it was dropped; nil while it is there.
    package var droppedAt: UInt64?
    package var entries: [Entry] = []
  }

  package private(set) var lives: [Life] = []
  package private(set) var matcher: ObjectMatcher

  /// - Parameters: as in `ObjectMatcher`.
  package init(_ reference: ObjectReference, image: Image, known: [ObjectIdentity] = []) {
    matcher = ObjectMatcher(reference, image: image, known: known)
  }

  /// The history of an object in records that begin with the first, or after the image.
  package static func of(_ reference: ObjectReference, in records: [Record], after image: Image = Image()) -> [Life] {
    var names = ObjectMatcher(reference, image: image)
    for record in records { _ = names.take(record) }
    var history = ObjectHistory(reference, image: image, known: names.lives)
    for record in records { history.take(record) }
    history.explain(records)
    return history.existing
  }

  /// Lives of which there is something to tell, the earliest first.
  package var existing: [Life] {
    lives.filter { !$0.entries.isEmpty }.sorted { $0.entries[0].record.index < $1.entries[0].record.index }
  }

  /// Folds the next record in.
  package mutating func take(_ record: Record) {
    let touches = matcher.take(record)
    while lives.count < matcher.lives.count { lives.append(Life(identity: matcher.lives[lives.count])) }
    for life in Set(touches.map(\.life)).sorted() {
      let events = touches.filter { $0.life == life }.map { record.events[$0.event] }
      for event in events {
        if event.definedObject?.identity == lives[life].identity, lives[life].entries.isEmpty {
          lives[life].createdAt = record.index
        }
        if event.endedObject == lives[life].identity { lives[life].droppedAt = record.index }
      }
      var entry = Entry(record: record)
      entry.record.events = events
      lives[life].entries.append(entry)
    }
    if let cause = record.cause, record.events.contains(where: { $0.family == .notes }) { note(record, about: cause) }
  }

  private mutating func note(_ note: Record, about index: UInt64) {
    for life in lives.indices {
      guard let position = lives[life].entries.lastIndex(where: { $0.record.index == index }) else { continue }
      lives[life].entries[position].notes.append(note)
    }
  }

  /// Records that made others ask for what happened, and that are not at hand: for `explain`.
  package var causes: [UInt64] {
    Set(lives.flatMap { $0.entries.compactMap { $0.cause == nil ? $0.record.cause : nil } }).sorted()
  }

  /// Puts the causes among the records in their places.
  package mutating func explain(_ records: [Record]) {
    let wanted = Set(causes)
    let found = Dictionary(
      records.filter { wanted.contains($0.index) }.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
    for life in lives.indices {
      for position in lives[life].entries.indices {
        guard let cause = lives[life].entries[position].record.cause, let record = found[cause] else { continue }
        lives[life].entries[position].cause = record
      }
    }
  }
}
