import Metadata

/// Decides which tablets should be on other shards: those that are not where most of their group is, all of shards that are drained,
/// those that belong on shards of another class, and as few as possible of those that have more than their share. Values in, values out.
///
/// All but the first happens within the class to which a tablet belongs. Where no shard of it takes tablets, it counts as one of the
/// class of its shard.
///
/// A tablet weighs what it takes of all bytes and of all load. The fullest shard gives to the emptiest one, of its tablets the one
/// that comes nearest to what both need. Each such move lessens the sum of the squares of what shards have: it ends. A plan is begun
/// only where two shards differ by more than `trigger` and a tablet fits well, and goes on to the stricter `goal`: what is left is
/// then too even for load that comes and goes to move anything.
package struct RebalancePlanner {
  package struct Options: Sendable {
    /// So far two shards differ, as a part of the mean, before anything is evened out.
    package var trigger = 0.3
    /// So little all differ afterwards, where tablets are small enough.
    package var goal = 0.1
    /// Parts of the difference of two shards that a tablet may have to be moved from one to the other: as the first of a plan,
    /// and as a later one.
    package var firstPart = 0.5
    package var furtherPart = 0.8
    /// Whether tablets go to shards of their class.
    package var sortsByClass = true
    /// Whether shards that are not drained give anything to those of their class.
    package var evensOut = true
    /// Units that the plan moves at most.
    package var maximumMoves = Int.max
    package init() {}
  }

  /// A tablet costs about that much, whatever is in it: its log beside the file, connections, checks.
  private static let tabletBytes = 4_194_304.0
  /// Load counts in full from so many reads and writes per second and shard on.
  private static let fullLoad = 100.0
  /// Of all weights together.
  private static let totalWeight = Double(1 << 39)
  private static let unitBits: UInt64 = 24
  private static let maximumWeight: UInt64 = 1 << 40 - 1

  /// Tablets that stay together: one after another in `order`.
  private struct Unit {
    var first: Int
    var count: Int
    var group: UInt64?
    /// The shard's place.
    var home: Int
    var place: Int
    var weight: UInt64
    var sizeBytes: UInt64
    /// Of the shards among which it is placed: the place in `classes`. nil: no shard takes anything.
    var shardClass: Int?
    /// It was on a shard of another class.
    var isSorted = false
  }

  private let options: Options
  private let cluster: RebalanceCluster
  private var shards: [RebalanceCluster.Shard]
  /// Of shards, by name.
  private let classes: [String]
  /// Of each shard, and whether any of the class takes tablets.
  private let classOfShard: [Int]
  private let hasTaker: [Bool]
  private var homeless: [String: Int] = [:]
  private var weights: [UInt64] = []
  private var order: [Int] = []
  private var units: [Unit] = []
  private var sizes: [UInt64]
  private var totals: [UInt64]
  private var before: [UInt64] = []
  private var keys: [SortedKeys?]
  private var unitsOfShard: [[Int]]
  private var unplaced: [TabletID] = []
  private var moved = 0
  /// Places of shards that had no room for something.
  private var full: Set<Int> = []

  /// The plan for the cluster as it is. The same cluster gives the same plan.
  package static func plan(_ cluster: RebalanceCluster, _ options: Options = Options()) -> RebalancePlan {
    var planner = RebalancePlanner(cluster, options)
    planner.drain()
    if options.sortsByClass { planner.sortByClass() }
    if options.evensOut {
      for shardClass in planner.classes.indices { planner.evenOut(shardClass) }
    }
    return planner.result()
  }

  private init(_ cluster: RebalanceCluster, _ options: Options) {
    self.cluster = cluster
    self.options = options
    shards = cluster.shards.sorted { $0.id < $1.id }
    classes = Set(shards.map(\.shardClass)).sorted()
    classOfShard = shards.map { [classes] in classes.firstIndex(of: $0.shardClass) ?? 0 }
    var hasTaker = [Bool](repeating: false, count: classes.count)
    for (place, shard) in shards.enumerated() where !shard.isDraining { hasTaker[classOfShard[place]] = true }
    self.hasTaker = hasTaker
    totals = [UInt64](repeating: 0, count: shards.count)
    sizes = totals
    keys = [SortedKeys?](repeating: nil, count: shards.count)
    unitsOfShard = [[Int]](repeating: [], count: shards.count)
    weigh()
    makeUnits()
  }

  // MARK: What there is

  private mutating func weigh() {
    var bytes = 0.0
    var load = 0.0
    for tablet in cluster.tablets {
      bytes += Double(tablet.sizeBytes) + Self.tabletBytes
      load += max(0, tablet.load)
    }
    let takers = Double(max(1, shards.count { !$0.isDraining }))
    let loadPart = load > 0 ? 0.5 * min(1, load / (takers * Self.fullLoad)) : 0
    let perByte = (1 - loadPart) * Self.totalWeight / max(1, bytes)
    let perLoad = load > 0 ? loadPart * Self.totalWeight / load : 0
    weights = []
    weights.reserveCapacity(cluster.tablets.count)
    for tablet in cluster.tablets {
      let weight = (Double(tablet.sizeBytes) + Self.tabletBytes) * perByte + max(0, tablet.load) * perLoad
      weights.append(min(Self.maximumWeight, max(1, UInt64(weight))))
    }
  }

  private mutating func makeUnits() {
    var placeOfShard: [ShardID: Int] = [:]
    for (place, shard) in shards.enumerated() { placeOfShard[shard.id] = place }
    var grouped: [UInt64: [Int]] = [:]
    order.reserveCapacity(cluster.tablets.count)
    for (index, tablet) in cluster.tablets.enumerated() {
      guard let place = placeOfShard[tablet.shard] else { continue }
      totals[place] += weights[index]
      sizes[place] &+= tablet.sizeBytes
      if let group = tablet.group {
        grouped[group, default: []].append(index)
      } else if !tablet.isFixed {
        addUnit([index], place, in: self.shardClass(of: tablet, at: place))
      }
      if takingClass(tablet.shardClass) == nil { homeless[tablet.shardClass, default: 0] += 1 }
    }
    before = totals
    for group in grouped.keys.sorted() {
      // Where one of them stays, all do.
      guard let members = grouped[group], !members.contains(where: { cluster.tablets[$0].isFixed }) else { continue }
      let places = members.map { placeOfShard[cluster.tablets[$0].shard] ?? 0 }
      let shardClass = self.shardClass(of: cluster.tablets[members[0]], at: places[0])
      guard let place = gather(members, places, in: shardClass) else { continue }
      addUnit(members, place, in: shardClass, group)
    }
  }

  /// The class of a name, where a shard of it takes tablets.
  private func takingClass(_ name: String) -> Int? {
    classes.firstIndex(of: name).flatMap { hasTaker[$0] ? $0 : nil }
  }

  /// Among which shards a tablet is placed: those of its class, else those like the one where it is, else hot ones, else any.
  private func shardClass(of tablet: RebalanceCluster.Tablet, at place: Int) -> Int? {
    if let own = takingClass(tablet.shardClass) { return own }
    if hasTaker[classOfShard[place]] { return classOfShard[place] }
    return takingClass(ShardClass.hot) ?? hasTaker.firstIndex(of: true)
  }

  /// Where a group comes together: at the shard that has most of it already and room for the rest. nil: nowhere for now.
  private mutating func gather(_ members: [Int], _ places: [Int], in shardClass: Int?) -> Int? {
    var present: [Int: UInt64] = [:]
    var bytes: UInt64 = 0
    var here: [Int: UInt64] = [:]
    for (index, place) in zip(members, places) {
      present[place, default: 0] += weights[index]
      here[place, default: 0] &+= cluster.tablets[index].sizeBytes
      bytes &+= cluster.tablets[index].sizeBytes
    }
    guard present.count > 1 else { return places.first }
    guard moved < options.maximumMoves else { return nil }
    let open = present.keys.filter { !shards[$0].isDraining && classOfShard[$0] == shardClass }
    let takers = open.filter { place in
      guard let capacity = shards[place].capacityBytes else { return true }
      guard sizes[place] &+ bytes &- (here[place] ?? 0) > capacity else { return true }
      full.insert(place)
      return false
    }
    guard !takers.isEmpty || open.isEmpty else { return nil }
    // On shards that are drained or of other classes only: it is brought together by being taken away.
    let chosen = (takers.isEmpty ? Array(present.keys) : takers).max {
      (present[$0] ?? 0, $1) < (present[$1] ?? 0, $0)
    }
    guard let chosen else { return nil }
    for (index, place) in zip(members, places) where place != chosen {
      totals[place] -= min(totals[place], weights[index])
      totals[chosen] += weights[index]
      sizes[place] &-= cluster.tablets[index].sizeBytes
      sizes[chosen] &+= cluster.tablets[index].sizeBytes
    }
    moved += 1
    return chosen
  }

  private mutating func addUnit(_ members: [Int], _ place: Int, in shardClass: Int?, _ group: UInt64? = nil) {
    var unit = Unit(
      first: order.count, count: members.count, group: group, home: place, place: place, weight: 0, sizeBytes: 0,
      shardClass: shardClass)
    for index in members {
      unit.weight += weights[index]
      unit.sizeBytes &+= cluster.tablets[index].sizeBytes
      order.append(index)
    }
    unit.weight = min(unit.weight, Self.maximumWeight)
    unitsOfShard[place].append(units.count)
    units.append(unit)
  }

  private func key(_ unit: Int) -> UInt64 { units[unit].weight << Self.unitBits | UInt64(unit) }

  private mutating func hasRoom(_ place: Int, _ unit: Int) -> Bool {
    guard let capacity = shards[place].capacityBytes, sizes[place] &+ units[unit].sizeBytes > capacity else {
      return true
    }
    full.insert(place)
    return false
  }

  private mutating func move(_ unit: Int, to place: Int) {
    let source = units[unit].place
    let key = key(unit)
    keys[source]?.remove(key)
    if keys[place] != nil { keys[place]?.insert(key) } else { unitsOfShard[place].append(unit) }
    totals[source] -= min(totals[source], units[unit].weight)
    totals[place] += units[unit].weight
    sizes[source] &-= units[unit].sizeBytes
    sizes[place] &+= units[unit].sizeBytes
    units[unit].place = place
    moved += 1
  }

  /// What shards of a class have, divided by those of them that take tablets.
  private func mean(_ totals: [UInt64], _ shardClass: Int) -> UInt64 {
    var total: UInt64 = 0
    var takers: UInt64 = 0
    for (place, weight) in totals.enumerated() where classOfShard[place] == shardClass {
      total += weight
      if !shards[place].isDraining { takers += 1 }
    }
    return total / max(1, takers)
  }

  /// Of the shards of a class that take tablets.
  private func tree(_ shardClass: Int) -> ExtremeTree {
    var tree = ExtremeTree(totals)
    for (place, shard) in shards.enumerated() where shard.isDraining || classOfShard[place] != shardClass {
      tree.setTaking(place, false)
      tree.setGiving(place, false)
    }
    return tree
  }

  // MARK: Draining, and shards of the wrong class

  private mutating func drain() {
    for (place, shard) in shards.enumerated() where shard.isDraining { takeAway(unitsOfShard[place]) }
    for (place, shard) in shards.enumerated() where shard.isDraining { unitsOfShard[place] = [] }
  }

  private mutating func sortByClass() {
    for (place, shard) in shards.enumerated() where !shard.isDraining {
      let misplaced = unitsOfShard[place].filter { units[$0].shardClass != classOfShard[place] }
      for unit in misplaced { units[unit].isSorted = true }
      takeAway(misplaced)
      // What no shard has room for stays, and is none of those that are evened out.
      if !misplaced.isEmpty {
        unitsOfShard[place].removeAll { units[$0].place != place || units[$0].shardClass != classOfShard[place] }
      }
    }
  }

  /// The heaviest first, each to the emptiest shard of its class that has room.
  private mutating func takeAway(_ leaving: [Int]) {
    guard !leaving.isEmpty else { return }
    let ordered = leaving.sorted { key($0) > key($1) }
    for shardClass in classes.indices {
      let own = ordered.filter { units[$0].shardClass == shardClass }
      guard !own.isEmpty else { continue }
      var tree = self.tree(shardClass)
      for unit in own {
        guard moved < options.maximumMoves else { return }
        guard let target = roomiest(&tree, for: unit) else {
          unplaced += members(unit).map { cluster.tablets[$0].id }
          continue
        }
        move(unit, to: target)
        tree.set(target, totals[target])
      }
    }
    for unit in ordered where units[unit].shardClass == nil {
      unplaced += members(unit).map { cluster.tablets[$0].id }
    }
  }

  private mutating func roomiest(_ tree: inout ExtremeTree, for unit: Int) -> Int? {
    var passed: [Int] = []
    defer { for place in passed { tree.setTaking(place, true) } }
    while let place = tree.leastPlace {
      if hasRoom(place, unit) { return place }
      tree.setTaking(place, false)
      passed.append(place)
    }
    return nil
  }

  // MARK: Evening out

  private mutating func evenOut(_ shardClass: Int) {
    var tree = self.tree(shardClass)
    let mean = self.mean(totals, shardClass)
    var part = options.firstPart
    var difference = scaled(mean, options.trigger)
    var stuck: [Int] = []
    while moved < options.maximumMoves, let source = tree.greatestPlace, let target = tree.leastPlace {
      guard totals[source] > totals[target] + difference else { return }
      guard let unit = choose(from: source, to: target, mean, part) else {
        // Nothing that it has fits.
        tree.setGiving(source, false)
        stuck.append(source)
        continue
      }
      guard hasRoom(target, unit) else {
        tree.setTaking(target, false)
        continue
      }
      move(unit, to: target)
      tree.set(source, totals[source])
      tree.set(target, totals[target])
      guard part == options.firstPart else { continue }
      part = options.furtherPart
      difference = scaled(mean, options.goal)
      for place in stuck { tree.setGiving(place, true) }
      stuck = []
    }
  }

  private func scaled(_ weight: UInt64, _ factor: Double) -> UInt64 { UInt64(Double(weight) * factor) }

  /// The unit to give: the heaviest that both need, or, where that is small, the lightest above.
  private mutating func choose(from source: Int, to target: Int, _ mean: UInt64, _ part: Double) -> Int? {
    let gap = totals[source] - totals[target]
    let surplus = totals[source] > mean ? totals[source] - mean : 0
    let lack = mean > totals[target] ? mean - totals[target] : 0
    let limit = scaled(gap, part)
    let wanted = min(limit, max(min(surplus, lack), gap / 4))
    if keys[source] == nil {
      keys[source] = SortedKeys(unitsOfShard[source].map { key($0) })
      unitsOfShard[source] = []
    }
    let end = wanted << Self.unitBits | (1 << Self.unitBits - 1)
    let below = keys[source]?.last(notAbove: end)
    let above = keys[source]?.first(above: end).flatMap { $0 >> Self.unitBits <= limit ? $0 : nil }
    let chosen = if let below, below >> Self.unitBits >= wanted / 4 { below } else { above ?? below }
    return chosen.map { Int($0 & (1 << Self.unitBits - 1)) }
  }

  // MARK: The result

  private func members(_ unit: Int) -> ArraySlice<Int> {
    order[units[unit].first..<units[unit].first + units[unit].count]
  }

  private func result() -> RebalancePlan {
    var plan = RebalancePlan()
    plan.unplaced = unplaced.sorted()
    plan.full = full.sorted().map { shards[$0].id }
    plan.homeless = homeless.sorted { $0.key < $1.key }.map {
      RebalancePlan.Homeless(shardClass: $0.key, tablets: $0.value)
    }
    plan.before = fills(before)
    plan.after = plan.before
    for (place, share) in shares(totals).enumerated() { plan.after[place].share = share }
    for unit in units where unit.group != nil || unit.home != unit.place {
      let reason: RebalancePlan.Reason =
        shards[unit.home].isDraining
        ? .drain : unit.home == unit.place ? .gather : unit.isSorted ? .shardClass : .even
      for index in order[unit.first..<unit.first + unit.count] {
        let tablet = cluster.tablets[index]
        guard tablet.shard != shards[unit.place].id else { continue }
        plan.moves.append(
          RebalancePlan.Move(
            tablet: tablet.id, source: tablet.shard, target: shards[unit.place].id, sizeBytes: tablet.sizeBytes,
            load: tablet.load, reason: reason, group: unit.group))
        let home = unit.group == nil ? unit.home : shards.firstIndex { $0.id == tablet.shard } ?? unit.home
        for (place, sign) in [(home, -1), (unit.place, 1)] {
          plan.after[place].tablets += sign
          plan.after[place].load += Double(sign) * tablet.load
        }
        plan.after[home].sizeBytes &-= tablet.sizeBytes
        plan.after[unit.place].sizeBytes &+= tablet.sizeBytes
      }
    }
    // What is drained goes first, then what is on shards of the wrong class.
    let drains = plan.moves.filter { $0.reason == .drain }
    let sorts = plan.moves.filter { $0.reason == .shardClass }
    plan.moves = drains + sorts + plan.moves.filter { $0.reason != .drain && $0.reason != .shardClass }
    return plan
  }

  private func shares(_ totals: [UInt64]) -> [Double] {
    let means = classes.indices.map { mean(totals, $0) }
    return totals.enumerated().map { place, total in
      let mean = means[classOfShard[place]]
      return mean == 0 ? 0 : Double(total) / Double(mean)
    }
  }

  private func fills(_ totals: [UInt64]) -> [RebalancePlan.Fill] {
    let shares = self.shares(totals)
    var fills = shards.enumerated().map { place, shard in
      RebalancePlan.Fill(
        shard: shard.id, isDraining: shard.isDraining, shardClass: shard.shardClass, tablets: 0, sizeBytes: 0, load: 0,
        share: shares[place])
    }
    var placeOfShard: [ShardID: Int] = [:]
    for (place, shard) in shards.enumerated() { placeOfShard[shard.id] = place }
    for tablet in cluster.tablets {
      guard let place = placeOfShard[tablet.shard] else { continue }
      fills[place].tablets += 1
      fills[place].sizeBytes &+= tablet.sizeBytes
      fills[place].load += tablet.load
    }
    return fills
  }
}
