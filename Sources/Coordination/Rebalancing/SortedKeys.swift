/// Distinct numbers in ascending order, in pieces, so that one of a million is put in or taken out in microseconds.
struct SortedKeys {
  private static let pieceLimit = 1024
  /// None is empty.
  private var pieces: [[UInt64]] = []

  init(_ keys: [UInt64]) {
    let sorted = keys.sorted()
    var start = 0
    while start < sorted.count {
      let end = min(start + Self.pieceLimit / 2, sorted.count)
      pieces.append(Array(sorted[start..<end]))
      start = end
    }
  }

  /// The greatest key that is not above the limit.
  func last(notAbove limit: UInt64) -> UInt64? {
    var place = firstPiece { $0[$0.count - 1] > limit }
    if place < pieces.count, pieces[place][0] <= limit {
      return pieces[place][Self.firstIndex(in: pieces[place], above: limit) - 1]
    }
    place -= 1
    return place >= 0 ? pieces[place].last : nil
  }

  /// The least key above the limit.
  func first(above limit: UInt64) -> UInt64? {
    let place = firstPiece { $0[$0.count - 1] > limit }
    guard place < pieces.count else { return nil }
    return pieces[place][Self.firstIndex(in: pieces[place], above: limit)]
  }

  mutating func insert(_ key: UInt64) {
    guard !pieces.isEmpty else { return pieces = [[key]] }
    let place = min(firstPiece { $0[$0.count - 1] > key }, pieces.count - 1)
    pieces[place].insert(key, at: Self.firstIndex(in: pieces[place], above: key))
    guard pieces[place].count > Self.pieceLimit else { return }
    let half = pieces[place].count / 2
    let upper = Array(pieces[place][half...])
    pieces[place].removeLast(pieces[place].count - half)
    pieces.insert(upper, at: place + 1)
  }

  mutating func remove(_ key: UInt64) {
    let place = firstPiece { $0[$0.count - 1] >= key }
    guard place < pieces.count else { return }
    let index = Self.firstIndex(in: pieces[place], above: key) - 1
    guard index >= 0, pieces[place][index] == key else { return }
    pieces[place].remove(at: index)
    if pieces[place].isEmpty { pieces.remove(at: place) }
  }

  private func firstPiece(where matches: ([UInt64]) -> Bool) -> Int {
    var (low, high) = (0, pieces.count)
    while low < high {
      let middle = (low + high) / 2
      if matches(pieces[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private static func firstIndex(in piece: [UInt64], above limit: UInt64) -> Int {
    var (low, high) = (0, piece.count)
    while low < high {
      let middle = (low + high) / 2
      if piece[middle] > limit { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

/// Which of many values is the greatest and which the least, kept in a tree, so that a change costs its depth.
struct ExtremeTree {
  private let size: Int
  private var greatest: [Int]
  private var least: [Int]
  private(set) var values: [UInt64]
  private var givesOut: [Bool]
  private var takesIn: [Bool]

  init(_ values: [UInt64]) {
    self.values = values
    var size = 1
    while size < values.count { size *= 2 }
    self.size = size
    greatest = [Int](repeating: -1, count: 2 * size)
    least = greatest
    givesOut = [Bool](repeating: true, count: values.count)
    takesIn = givesOut
    for place in values.indices {
      greatest[size + place] = place
      least[size + place] = place
    }
    for node in stride(from: size - 1, to: 0, by: -1) { choose(node) }
  }

  /// Of those that still give; the first of equals.
  var greatestPlace: Int? { greatest[1] < 0 ? nil : greatest[1] }
  /// Of those that still take; the first of equals.
  var leastPlace: Int? { least[1] < 0 ? nil : least[1] }

  mutating func set(_ place: Int, _ value: UInt64) {
    values[place] = value
    update(place)
  }

  mutating func setGiving(_ place: Int, _ gives: Bool) {
    guard givesOut[place] != gives else { return }
    givesOut[place] = gives
    update(place)
  }

  mutating func setTaking(_ place: Int, _ takes: Bool) {
    guard takesIn[place] != takes else { return }
    takesIn[place] = takes
    update(place)
  }

  private mutating func update(_ place: Int) {
    greatest[size + place] = givesOut[place] ? place : -1
    least[size + place] = takesIn[place] ? place : -1
    var node = (size + place) / 2
    while node > 0 {
      choose(node)
      node /= 2
    }
  }

  private mutating func choose(_ node: Int) {
    let (left, right) = (2 * node, 2 * node + 1)
    greatest[node] = better(greatest[left], greatest[right]) { values[$0] >= values[$1] }
    least[node] = better(least[left], least[right]) { values[$0] <= values[$1] }
  }

  private func better(_ left: Int, _ right: Int, _ isBetter: (Int, Int) -> Bool) -> Int {
    if left < 0 { return right }
    if right < 0 { return left }
    return isBetter(left, right) ? left : right
  }
}
