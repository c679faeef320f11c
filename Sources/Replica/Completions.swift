/// Those who wait for an answer, each with a token that stands for it in the core; tokens are used again.
struct Completions<Completion> {
  private var items: [Completion?] = []
  private var free: [Int] = []

  /// Keeps the completion; its token.
  mutating func add(_ completion: Completion) -> UInt64 {
    guard let position = free.popLast() else {
      items.append(completion)
      return UInt64(items.count - 1)
    }
    items[position] = completion
    return UInt64(position)
  }

  /// Gives the completion back; the token is free then.
  mutating func take(_ token: UInt64) -> Completion {
    let position = Int(token)
    guard let completion = items[position] else { preconditionFailure("a token comes back once") }
    items[position] = nil
    free.append(position)
    return completion
  }
}
