/// A regular expression as instructions of an automaton.
struct RegexProgram: Sendable {
  enum Instruction: Sendable {
    case set(RegexSet)
    /// Go on at both, preferring the first.
    case split(Int, Int)
    case jump(Int)
    /// Note the position in a slot: two per group.
    case save(Int)
    case assertion(RegexAssertion)
    case look(Int, isBehind: Bool, isNegated: Bool)
    case backReference(Int)
    case match
  }

  var instructions: [Instruction] = []
  /// What `look` instructions test.
  var subprograms: [RegexProgram] = []
  var groupCount = 0
  var ignoresCase = false
  var prefersLongest = true
  var hasBackReferences = false
}

/// Compiles a parsed expression; repetitions with bounds are written out.
struct RegexCompiler {
  private static let maximumInstructions = 20_000

  private var program = RegexProgram()

  init(ignoresCase: Bool) { program.ignoresCase = ignoresCase }

  mutating func compile(_ node: RegexNode, groupCount: Int) throws(SQLError) -> RegexProgram {
    program.groupCount = groupCount
    program.prefersLongest = node.prefersLongest ?? true
    try emit(node)
    try append(.match)
    return program
  }

  private mutating func append(_ instruction: RegexProgram.Instruction) throws(SQLError) {
    if program.instructions.count >= RegexCompiler.maximumInstructions {
      throw RegexParser.invalid("regular expression is too complex")
    }
    program.instructions.append(instruction)
  }

  private mutating func emit(_ node: RegexNode) throws(SQLError) {
    switch node {
    case .empty: break
    case .set(let set): try append(.set(set))
    case .sequence(let parts): for part in parts { try emit(part) }
    case .alternatives(let branches): try emitAlternatives(branches)
    case .group(let inner, nil): try emit(inner)
    case .group(let inner, let capture?):
      try append(.save(capture * 2))
      try emit(inner)
      try append(.save(capture * 2 + 1))
    case .repetition(let inner, let minimum, let maximum, let isGreedy, _):
      try emitRepetition(inner, minimum, maximum, isGreedy)
    case .assertion(let assertion): try append(.assertion(assertion))
    case .look(let inner, let isBehind, let isNegated):
      var compiler = RegexCompiler(ignoresCase: program.ignoresCase)
      program.subprograms.append(try compiler.compile(inner, groupCount: 0))
      try append(.look(program.subprograms.count - 1, isBehind: isBehind, isNegated: isNegated))
    case .backReference(let number):
      program.hasBackReferences = true
      try append(.backReference(number))
    }
  }

  private mutating func emitAlternatives(_ branches: [RegexNode]) throws(SQLError) {
    var jumps: [Int] = []
    for (number, branch) in branches.enumerated() {
      if number == branches.count - 1 {
        try emit(branch)
        break
      }
      let split = program.instructions.count
      try append(.split(split + 1, 0))
      try emit(branch)
      jumps.append(program.instructions.count)
      try append(.jump(0))
      program.instructions[split] = .split(split + 1, program.instructions.count)
    }
    for jump in jumps { program.instructions[jump] = .jump(program.instructions.count) }
  }

  private mutating func emitRepetition(
    _ inner: RegexNode, _ minimum: Int, _ maximum: Int?, _ isGreedy: Bool
  ) throws(SQLError) {
    for _ in 0..<minimum { try emit(inner) }
    guard let maximum else {
      let split = program.instructions.count
      try append(.split(0, 0))
      try emit(inner)
      try append(.jump(split))
      program.instructions[split] = choice(split + 1, program.instructions.count, isGreedy)
      return
    }
    var splits: [Int] = []
    for _ in minimum..<max(minimum, maximum) {
      splits.append(program.instructions.count)
      try append(.split(0, 0))
      try emit(inner)
    }
    for split in splits { program.instructions[split] = choice(split + 1, program.instructions.count, isGreedy) }
  }

  private func choice(_ enter: Int, _ leave: Int, _ isGreedy: Bool) -> RegexProgram.Instruction {
    isGreedy ? .split(enter, leave) : .split(leave, enter)
  }
}
