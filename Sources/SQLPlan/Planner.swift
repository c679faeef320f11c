import Metadata
import SQLTree
import SQLTypes

/// Turns statements into plans, against one image. A value: make one per statement or keep it, as is handy.
package struct Planner: Sendable {
  /// Reads SQL text: for views and column defaults, which the catalog keeps as text.
  package typealias Parse = @Sendable (String) throws(SQLError) -> [ParsedStatementText]

  package var image: Image
  package var session: SessionInfo
  package var parse: Parse
  package init(image: Image, session: SessionInfo, parse: @escaping Parse) {
    self.image = image
    self.session = session
    self.parse = parse
  }
}
