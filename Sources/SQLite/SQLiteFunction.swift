import CSQLite
import SQLTypes

/// The arguments of one call of a function; valid during the call only.
package struct SQLiteArguments {
  let values: UnsafeMutablePointer<OpaquePointer?>?
  /// How many there are.
  package let count: Int

  /// Whether an argument is NULL.
  package func isNull(_ index: Int) -> Bool { sqlite3_value_type(values![index]) == SQLITE_NULL }

  /// An argument.
  package subscript(index: Int) -> StoredValue { StoredValue(values![index]) }

  /// An argument as an integer, whatever it is.
  package func integer(_ index: Int) -> Int64 { sqlite3_value_int64(values![index]) }

  /// An argument as a double, whatever it is; the text `NaN` is NaN.
  package func double(_ index: Int) -> Double {
    let value = values![index]!
    if sqlite3_value_type(value) == SQLITE_TEXT { return (try? FloatText.parseDouble(StoredValue.text(value))) ?? .nan }
    return sqlite3_value_double(value)
  }

  /// An argument as text, whatever it is.
  package func text(_ index: Int) -> String { StoredValue.text(values![index]!) }

  /// An argument as bytes, whatever it is.
  package func blob(_ index: Int) -> [UInt8] { StoredValue.blob(values![index]!) }

  /// All arguments.
  package var all: [StoredValue] { (0..<count).map { self[$0] } }

  var hasNull: Bool { (0..<count).contains { isNull($0) } }
}

/// A function of one row's values. A shared object, so that each connection keeps no more than a reference.
package final class ScalarFunction: Sendable {
  /// What the function computes; the session's context is that of its connection.
  package typealias Body = @Sendable (SQLiteArguments, SessionContext) throws(SQLError) -> StoredValue

  /// Its name in SQLite's SQL.
  package let name: String
  /// How many arguments it takes; -1 for any number.
  package let argumentCount: Int
  /// Whether NULL in any argument gives NULL without a call.
  package let isStrict: Bool
  /// Whether equal arguments give equal results within a statement (PostgreSQL's immutable and stable), so that SQLite
  /// computes a call with constant arguments once per run.
  package let isDeterministic: Bool
  /// What it computes.
  package let body: Body

  /// Memberwise; strict and deterministic unless told.
  package init(
    _ name: String, _ argumentCount: Int, isStrict: Bool = true, isDeterministic: Bool = true, _ body: @escaping Body
  ) {
    self.name = name
    self.argumentCount = argumentCount
    self.isStrict = isStrict
    self.isDeterministic = isDeterministic
    self.body = body
  }
}

/// The running state of an aggregate over one group or window frame.
package protocol AggregateState: AnyObject {
  /// Takes one row in.
  func step(_ arguments: SQLiteArguments) throws(SQLError)
  /// Takes the oldest row out of a moving window frame.
  func inverse(_ arguments: SQLiteArguments) throws(SQLError)
  /// The result over the rows that are in.
  func value() throws(SQLError) -> StoredValue
}

/// A function over the rows of a group; it can be used with OVER too.
package struct AggregateFunction: Sendable {
  /// Its name in SQLite's SQL.
  package let name: String
  /// How many arguments it takes; -1 for any number.
  package let argumentCount: Int
  /// A fresh state; it is asked for its value without a step where there are no rows.
  package let makeState: @Sendable (SessionContext) -> any AggregateState

  /// Memberwise.
  package init(
    _ name: String, _ argumentCount: Int, _ makeState: @escaping @Sendable (SessionContext) -> any AggregateState
  ) {
    self.name = name
    self.argumentCount = argumentCount
    self.makeState = makeState
  }
}

/// A total order of texts.
package struct Collation: Sendable {
  /// Its name after COLLATE.
  package let name: String
  /// -1, 0, 1.
  package let compare: @Sendable (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Int

  /// Memberwise.
  package init(
    _ name: String, _ compare: @escaping @Sendable (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Int
  ) {
    self.name = name
    self.compare = compare
  }
}

/// A function with its connection's context, as SQLite keeps it.
private final class Registered<Function> {
  let function: Function
  let context: SessionContext

  init(_ function: Function, _ context: SessionContext) {
    self.function = function
    self.context = context
  }

  static func from(_ pointer: UnsafeMutableRawPointer?) -> Registered<Function> {
    Unmanaged<Registered<Function>>.fromOpaque(pointer!).takeUnretainedValue()
  }
}

private func fail(_ context: OpaquePointer?, _ error: SQLError) {
  sqlite3_result_error(context, SQLErrorText.encode(error), -1)
}

extension SQLiteDatabase {
  /// Makes a function callable in the connection's statements.
  package func register(_ function: ScalarFunction, context: SessionContext) throws(SQLiteError) {
    let registered = Unmanaged.passRetained(Registered(function, context))
    let flags = SQLITE_UTF8 | (function.isDeterministic ? SQLITE_DETERMINISTIC : 0)
    let result = sqlite3_create_function_v2(
      handle.pointer, function.name, Int32(function.argumentCount), flags, registered.toOpaque(),
      { context, count, values in
        let registered = Registered<ScalarFunction>.from(sqlite3_user_data(context))
        let arguments = SQLiteArguments(values: values, count: Int(count))
        if registered.function.isStrict, arguments.hasNull { return sqlite3_result_null(context) }
        do throws(SQLError) {
          try registered.function.body(arguments, registered.context).setResult(of: context!)
        } catch {
          fail(context, error)
        }
      }, nil, nil, { Unmanaged<Registered<ScalarFunction>>.fromOpaque($0!).release() })
    guard result == SQLITE_OK else { throw SQLiteError(handle: handle.pointer, result: result) }
  }

  /// Makes an aggregate callable in the connection's statements, with and without OVER.
  package func register(_ function: AggregateFunction, context: SessionContext) throws(SQLiteError) {
    let registered = Unmanaged.passRetained(Registered(function, context))
    let result = sqlite3_create_window_function(
      handle.pointer, function.name, Int32(function.argumentCount), SQLITE_UTF8 | SQLITE_DETERMINISTIC,
      registered.toOpaque(),
      { context, count, values in
        let arguments = SQLiteArguments(values: values, count: Int(count))
        do throws(SQLError) { try aggregateState(context).step(arguments) } catch { fail(context, error) }
      },
      { context in
        do throws(SQLError) { try takeAggregateState(context).value().setResult(of: context!) } catch {
          fail(context, error)
        }
      },
      { context in
        do throws(SQLError) { try aggregateState(context).value().setResult(of: context!) } catch {
          fail(context, error)
        }
      },
      { context, count, values in
        let arguments = SQLiteArguments(values: values, count: Int(count))
        do throws(SQLError) { try aggregateState(context).inverse(arguments) } catch { fail(context, error) }
      }, { Unmanaged<Registered<AggregateFunction>>.fromOpaque($0!).release() })
    guard result == SQLITE_OK else { throw SQLiteError(handle: handle.pointer, result: result) }
  }

  /// Makes a collation usable in the connection's statements and schemas.
  package func register(_ collation: Collation) throws(SQLiteError) {
    let box = Unmanaged.passRetained(CollationBox(collation))
    let result = sqlite3_create_collation_v2(
      handle.pointer, collation.name, SQLITE_UTF8, box.toOpaque(),
      { context, leftCount, left, rightCount, right in
        let collation = Unmanaged<CollationBox>.fromOpaque(context!).takeUnretainedValue().collation
        return Int32(
          collation.compare(
            UnsafeRawBufferPointer(start: left, count: Int(leftCount)),
            UnsafeRawBufferPointer(start: right, count: Int(rightCount))))
      }, { Unmanaged<CollationBox>.fromOpaque($0!).release() })
    guard result == SQLITE_OK else { throw SQLiteError(handle: handle.pointer, result: result) }
  }
}

private final class CollationBox {
  let collation: Collation

  init(_ collation: Collation) { self.collation = collation }
}

/// The state object, which SQLite keeps as one pointer per group; made at the first use.
private func aggregateState(_ context: OpaquePointer?) -> any AggregateState {
  let slot = sqlite3_aggregate_context(context, Int32(MemoryLayout<UnsafeMutableRawPointer?>.size))!
    .assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
  if let existing = slot.pointee {
    return Unmanaged<StateBox>.fromOpaque(existing).takeUnretainedValue().state
  }
  let registered = Registered<AggregateFunction>.from(sqlite3_user_data(context))
  let box = StateBox(registered.function.makeState(registered.context))
  slot.pointee = Unmanaged.passRetained(box).toOpaque()
  return box.state
}

/// The state object, given back by SQLite at the end of its group.
private func takeAggregateState(_ context: OpaquePointer?) -> any AggregateState {
  let slot = sqlite3_aggregate_context(context, 0)?.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
  guard let slot, let existing = slot.pointee else {
    let registered = Registered<AggregateFunction>.from(sqlite3_user_data(context))
    return registered.function.makeState(registered.context)
  }
  slot.pointee = nil
  return Unmanaged<StateBox>.fromOpaque(existing).takeRetainedValue().state
}

private final class StateBox {
  let state: any AggregateState

  init(_ state: any AggregateState) { self.state = state }
}
