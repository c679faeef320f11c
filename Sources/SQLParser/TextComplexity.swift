/// What can be said of a text before the grammar sees it: an upper bound on how deep its tree can be, and its size in
/// tokens. libpg_query writes its tree by recursion without a look at the stack: a chain of 100,000 operators overruns
/// 8 MB (measured); nesting by parentheses is bounded by the grammar's own stack of 10,000 entries.
struct TextComplexity {
  /// A text this short cannot hurt: at two bytes per level, 16,000 levels take less than 3 MB of stack.
  static let harmlessBytes = 32 << 10
  /// Tokens that one comma-separated item may chain up, those of its deepest nested item included.
  private static let maximumChain = 20_000
  /// A token costs up to 150 bytes of JSON.
  private static let maximumTokens = 4_000_000

  var hasNUL = false
  private(set) var isExcessive = false

  init(hasNUL: Bool = false) { self.hasNUL = hasNUL }

  init(of bytes: UnsafeBufferPointer<UInt8>) {
    var levels = [Level()]
    var tokens = 0
    var scanner = SQLScanner(bytes)
    while let token = scanner.next() {
      tokens += 1
      let sign = token.kind == .sign ? bytes[token.start] : 0
      switch sign {
      case UInt8(ascii: "("), UInt8(ascii: "["):
        levels.append(Level())
      case UInt8(ascii: ")"), UInt8(ascii: "]"):
        guard levels.count > 1, var closed = levels.popLast() else { break }
        closed.endItem()
        levels[levels.count - 1].deepestInner = max(levels[levels.count - 1].deepestInner, closed.longest)
        levels[levels.count - 1].chain += 1
      case UInt8(ascii: ","), UInt8(ascii: ";"):
        levels[levels.count - 1].endItem()
      default:
        levels[levels.count - 1].chain += 1
      }
    }
    // What is left open is a syntax error, whose tree is never written; its chains count nevertheless.
    for index in levels.indices { levels[index].endItem() }
    isExcessive = tokens > Self.maximumTokens || levels.contains { $0.longest > Self.maximumChain }
  }

  /// An open parenthesis.
  private struct Level {
    /// Tokens of the current item.
    var chain = 0
    /// The deepest of what the current item encloses.
    var deepestInner = 0
    /// The deepest item so far.
    var longest = 0

    mutating func endItem() {
      longest = max(longest, chain + deepestInner)
      chain = 0
      deepestInner = 0
    }
  }
}
