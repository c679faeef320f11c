import EventLoop
import Metadata
import SQLPlan
import SQLTypes

extension ComputeSession {
  /// The values of a plan's parameters: constants as they are, scalars from the local SQLite (all together, and stable
  /// ones once), sequences in order.
  func evaluate(_ parameters: [PlanParameter]) async throws(SQLError) -> [StoredValue] {
    var values = [StoredValue](repeating: .null, count: parameters.count)
    var scalars: [LocalScalar] = []
    var places: [(place: Int, scalar: Int)] = []
    var stable: [LocalScalar: Int] = [:]
    var demand = sequenceDemand(parameters)
    for (place, parameter) in parameters.enumerated() {
      switch parameter {
      case .constant(let value): values[place] = value
      case .parameter(let number):
        throw SQLError(.undefinedParameter, "there is no parameter $\(number)")
      case .nextValue(let id):
        values[place] = .integer(try await nextValue(id, demand: demand[id] ?? 1))
        demand[id, default: 1] -= 1
      case .expression(let expression):
        let inner = expression.parameters.isEmpty ? [] : try await evaluate(expression.parameters)
        let scalar = LocalScalar(sql: expression.sql, values: inner)
        if expression.isStable, let known = stable[scalar] {
          places.append((place, known))
          continue
        }
        if expression.isStable { stable[scalar] = scalars.count }
        places.append((place, scalars.count))
        scalars.append(scalar)
      }
    }
    guard !scalars.isEmpty else { return values }
    let interruption = LocalInterruption()
    let handler = scope?.onStop { interruption.raise() }
    defer { if let handler { scope?.forget(handler) } }
    let results = try await services.local.evaluate(scalars, context: localContext, interruption: interruption)
    for (place, scalar) in places { values[place] = results[scalar] }
    return values
  }

  /// How many values of each sequence are wanted.
  private func sequenceDemand(_ parameters: [PlanParameter]) -> [ObjectID: Int64] {
    var demand: [ObjectID: Int64] = [:]
    for parameter in parameters {
      if case .nextValue(let id) = parameter { demand[id, default: 0] += 1 }
    }
    return demand
  }

  /// nextval, remembered for currval and lastval.
  func nextValue(_ id: ObjectID, demand: Int64 = 1) async throws(SQLError) -> Int64 {
    let value: Int64
    if let cached = services.sequences.cached(id) {
      value = cached
    } else {
      value = try await services.sequences.next(id, principal: user, demand: demand)
    }
    lastValues[id] = value
    lastSequence = id
    return value
  }
}
