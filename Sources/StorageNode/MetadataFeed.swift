import EventLoop
import Metadata

/// What a storage node needs of the metadata log: the image as far as it is known here, and word of each change.
@LoopActor
package protocol MetadataFeed: AnyObject {
  /// The fold of all records that have arrived.
  var image: Image { get }
  /// Calls the body after each change of `image`, for as long as the feed lives.
  func observe(_ body: @escaping @LoopActor () -> Void)
}
