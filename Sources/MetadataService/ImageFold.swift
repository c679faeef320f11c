import Metadata
import MetadataLog
import Replica

/// Folds committed entries into an image up to a moment.
///
/// Unchecked: used by one worker's thread at a time, which its owner waits for.
final class ImageFold: @unchecked Sendable {
  private(set) var image: Image
  private let moment: PastImages.Moment
  /// Whether the first record after the moment has been met.
  private(set) var isDone = false

  init(_ image: Image, until moment: PastImages.Moment) {
    self.image = image
    self.moment = moment
  }

  /// Folds in the next entries, as far as the moment allows. Those that the image contains already are passed over.
  func add(_ entries: [CommittedEntry]) throws(ApplyError) {
    for entry in entries where entry.index > image.index {
      if case .index(let last) = moment, entry.index > last {
        isDone = true
        return
      }
      let record = try MetadataState.decode(index: entry.index, term: entry.term, body: entry.payload)
      if case .time(let last) = moment, record.timeMicroseconds > last {
        isDone = true
        return
      }
      guard record.continues(image) else {
        throw .brokenChain(index: record.index, previous: record.previousIndex, known: image.index)
      }
      image.apply(record)
    }
  }
}
