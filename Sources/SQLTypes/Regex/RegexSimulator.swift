/// Runs a program by following all its threads at once, one character at a time (after Pike).
struct RegexSimulator {
  private struct Thread {
    var instruction: Int
    var start: Int
    /// Two positions per group, -1 where it did not take part; empty where nobody asks.
    var slots: [Int]
  }

  private let program: RegexProgram
  private let text: RegexText
  private let slotCount: Int
  private var visited: [Int]

  init(_ program: RegexProgram, _ text: RegexText, capturing: Bool) {
    self.program = program
    self.text = text
    slotCount = capturing ? (program.groupCount + 1) * 2 : 0
    visited = Array(repeating: -1, count: program.instructions.count)
  }

  /// The leftmost match at or after a position; only at it where anchored.
  mutating func find(from start: Int, anchored: Bool) -> [Range<Int>?]? {
    var best: (start: Int, end: Int, slots: [Int])?
    var current: [Thread] = []
    var generation = 0
    for index in visited.indices { visited[index] = -1 }
    var position = start
    while true {
      if best == nil, position == start || !anchored {
        let slots = [Int](repeating: -1, count: slotCount)
        add(Thread(instruction: 0, start: position, slots: slots), position, generation, &current)
      }
      if current.isEmpty, best != nil || anchored || position >= text.count { break }
      generation += 1
      var next: [Thread] = []
      for thread in current {
        if let found = best, thread.start > found.start { continue }
        switch program.instructions[thread.instruction] {
        case .match:
          let isBetter =
            best.map { thread.start < $0.start || (program.prefersLongest && position > $0.end) } ?? true
          if isBetter { best = (thread.start, position, thread.slots) }
        case .set(let set):
          guard position < text.count, set.contains(text.scalars[position], ignoresCase: program.ignoresCase) else {
            continue
          }
          var advanced = thread
          advanced.instruction += 1
          add(advanced, position + 1, generation, &next)
        default: break
        }
        // Whoever only asks whether there is a match has the answer.
        if best != nil, slotCount == 0, !anchored { return [] }
        if best != nil, !program.prefersLongest, best?.start == thread.start { break }
      }
      if let found = best, !program.prefersLongest { next.removeAll { $0.start >= found.start } }
      current = next
      if position >= text.count { break }
      position += 1
    }
    guard let best else { return nil }
    var groups: [Range<Int>?] = [best.start..<best.end]
    for group in stride(from: 2, to: max(2, best.slots.count), by: 2) {
      let (low, high) = (best.slots[group], best.slots[group + 1])
      groups.append(low >= 0 && high >= low ? low..<high : nil)
    }
    return groups
  }

  /// Whether the program matches exactly up to a position (look-behind), from any start.
  private mutating func matchesBackwards(endingAt end: Int) -> Bool {
    for start in stride(from: end, through: 0, by: -1) where matches(from: start, to: end) { return true }
    return false
  }

  private mutating func matches(from start: Int, to end: Int?) -> Bool {
    for index in visited.indices { visited[index] = -1 }
    var current: [Thread] = []
    var position = start
    var generation = 0
    add(Thread(instruction: 0, start: start, slots: []), position, generation, &current)
    while !current.isEmpty {
      generation += 1
      var next: [Thread] = []
      for thread in current {
        switch program.instructions[thread.instruction] {
        case .match: if end == nil || end == position { return true }
        case .set(let set):
          guard position < text.count, set.contains(text.scalars[position], ignoresCase: program.ignoresCase) else {
            continue
          }
          add(Thread(instruction: thread.instruction + 1, start: start, slots: []), position + 1, generation, &next)
        default: break
        }
      }
      if let end, position >= end { return false }
      if position >= text.count { return false }
      current = next
      position += 1
    }
    return false
  }

  /// Follows instructions that take no character, by priority; each instruction is entered once per position.
  private mutating func add(_ first: Thread, _ position: Int, _ generation: Int, _ threads: inout [Thread]) {
    var pending = [first]
    while var thread = pending.popLast() {
      if visited[thread.instruction] == generation { continue }
      visited[thread.instruction] = generation
      switch program.instructions[thread.instruction] {
      case .jump(let target):
        thread.instruction = target
        pending.append(thread)
      case .split(let preferred, let other):
        var second = thread
        second.instruction = other
        pending.append(second)
        thread.instruction = preferred
        pending.append(thread)
      case .save(let slot):
        if slot < thread.slots.count { thread.slots[slot] = position }
        thread.instruction += 1
        pending.append(thread)
      case .assertion(let assertion):
        if RegexSimulator.holds(assertion, text, position) {
          thread.instruction += 1
          pending.append(thread)
        }
      case .look(let number, let isBehind, let isNegated):
        var inner = RegexSimulator(program.subprograms[number], text, capturing: false)
        let found =
          isBehind ? inner.matchesBackwards(endingAt: position) : inner.matches(from: position, to: nil)
        if found != isNegated {
          thread.instruction += 1
          pending.append(thread)
        }
      default: threads.append(thread)
      }
    }
  }

  /// Whether the look-around holds at a position.
  static func looks(_ program: RegexProgram, _ text: RegexText, at position: Int, isBehind: Bool) -> Bool {
    var inner = RegexSimulator(program, text, capturing: false)
    return isBehind ? inner.matchesBackwards(endingAt: position) : inner.matches(from: position, to: nil)
  }

  static func holds(_ assertion: RegexAssertion, _ text: RegexText, _ position: Int) -> Bool {
    func isWord(_ index: Int) -> Bool {
      text.scalars.indices.contains(index) && RegexSet.belongs(text.scalars[index], to: .word)
    }
    switch assertion {
    case .textStart: return position == 0
    case .textEnd: return position == text.count
    case .lineStart: return position == 0 || text.scalars[position - 1] == "\n"
    case .lineEnd: return position == text.count || text.scalars[position] == "\n"
    case .wordStart: return !isWord(position - 1) && isWord(position)
    case .wordEnd: return isWord(position - 1) && !isWord(position)
    case .wordBoundary: return isWord(position - 1) != isWord(position)
    case .notWordBoundary: return isWord(position - 1) == isWord(position)
    }
  }
}

/// Runs a program with back references by trying one thread after the other, within a limit of steps.
struct RegexBacktracker {
  private static let maximumSteps = 5_000_000

  private let program: RegexProgram
  private let text: RegexText
  private var steps = 0

  init(_ program: RegexProgram, _ text: RegexText) {
    self.program = program
    self.text = text
  }

  mutating func find(from start: Int) throws(SQLError) -> [Range<Int>?]? {
    for position in stride(from: start, through: text.count, by: 1) {
      if let groups = try match(at: position) { return groups }
    }
    return nil
  }

  private mutating func match(at start: Int) throws(SQLError) -> [Range<Int>?]? {
    let slotCount = (program.groupCount + 1) * 2
    var best: (end: Int, slots: [Int])?
    var pending: [(instruction: Int, position: Int, slots: [Int])] = [
      (0, start, Array(repeating: -1, count: slotCount))
    ]
    // An iteration that took no character is not repeated.
    var seen: Set<[Int]> = []
    while var (instruction, position, slots) = pending.popLast() {
      thread: while true {
        steps += 1
        if steps > RegexBacktracker.maximumSteps {
          throw SQLError(.programLimitExceeded, "regular expression failed: too many steps")
        }
        switch program.instructions[instruction] {
        case .match:
          if best == nil || (program.prefersLongest && position > best!.end) { best = (position, slots) }
          if !program.prefersLongest { pending.removeAll() }
          break thread
        case .set(let set):
          guard position < text.count, set.contains(text.scalars[position], ignoresCase: program.ignoresCase) else {
            break thread
          }
          position += 1
        case .jump(let target):
          instruction = target
          continue thread
        case .split(let preferred, let other):
          if !seen.insert([instruction, position] + slots).inserted { break thread }
          pending.append((other, position, slots))
          instruction = preferred
          continue thread
        case .save(let slot): slots[slot] = position
        case .assertion(let assertion):
          guard RegexSimulator.holds(assertion, text, position) else { break thread }
        case .look(let number, let isBehind, let isNegated):
          let found = RegexSimulator.looks(program.subprograms[number], text, at: position, isBehind: isBehind)
          guard found != isNegated else { break thread }
        case .backReference(let group):
          guard let length = repeated(group, slots, position) else { break thread }
          position += length
        }
        instruction += 1
      }
    }
    guard let best else { return nil }
    var groups: [Range<Int>?] = [start..<best.end]
    for group in stride(from: 2, to: slotCount, by: 2) {
      let (low, high) = (best.slots[group], best.slots[group + 1])
      groups.append(low >= 0 && high >= low ? low..<high : nil)
    }
    return groups
  }

  /// The length of a group's text, where it comes next.
  private func repeated(_ group: Int, _ slots: [Int], _ position: Int) -> Int? {
    let (low, high) = (slots[group * 2], slots[group * 2 + 1])
    guard low >= 0, high >= low, text.count - position >= high - low else { return nil }
    for offset in 0..<(high - low) {
      let wanted = RegexSet.scalar(text.scalars[low + offset])
      guard wanted.contains(text.scalars[position + offset], ignoresCase: program.ignoresCase) else { return nil }
    }
    return high - low
  }
}
