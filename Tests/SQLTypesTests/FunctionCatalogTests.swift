import Testing

@testable import SQLTypes

@Suite("The catalog of functions")
struct FunctionCatalogTests {
  let catalog = FunctionCatalog.standard

  @Test("every table line is readable and every signature is there once")
  func tablesAreReadable() {
    var seen: Set<String> = []
    for function in catalog.functions {
      let types = function.argumentTypes.map(\.displayName).joined(separator: ",")
      #expect(seen.insert("\(function.kind) \(function.name)(\(types))").inserted, "\(function.name)(\(types)) twice")
    }
  }

  @Test("operators name what implements them")
  func operators() throws {
    let sum = try #require(catalog.infixOperators(named: "+").first { $0.argumentTypes == [.int4, .int4] })
    #expect(sum.resultType == .int4)
    #expect(sum.implementation.sql(arguments: ["a", "1"], types: [.int4, .int4]) == "pg_int4_add(a, 1)")
    let less = try #require(catalog.infixOperators(named: "<").first { $0.argumentTypes == [.numeric, .numeric] })
    #expect(
      less.implementation.sql(arguments: ["a", "b"], types: [.numeric, .numeric]) == "(a COLLATE PG_NUMERIC < b)")
    let concat = try #require(catalog.functions(named: "concat").first)
    #expect(concat.isVariadic)
    #expect(concat.implementation.sql(arguments: ["a", "b"], types: [.bool, .text]) == "pg_concat(16, a, 25, b)")
  }

  @Test("casts carry the context in which they apply")
  func casts() throws {
    #expect(catalog.cast(from: .int4, to: .int8)?.context == .implicit)
    #expect(catalog.cast(from: .numeric, to: .int4)?.context == .assignment)
    #expect(catalog.cast(from: .text, to: .int4)?.context == .explicit)
    #expect(catalog.cast(from: .int4, to: .text)?.context == .assignment)
    #expect(catalog.cast(from: .varchar, to: .text)?.isBinaryCoercible == true)
    #expect(catalog.cast(from: .int4, to: .date) == nil)
    #expect(catalog.cast(from: .text, to: .int4)?.implementation == .inline("pg_in(23, $1, -1)"))
  }
}
