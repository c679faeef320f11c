import Metadata
import SQLTypes
import Testing

@Suite struct ViewTests {
  @Test func replacingAViewMayOnlyAddColumns() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t")))
    var view = view("v", reads: [try fixture.id("t")])
    try fixture.append(.createView(view, orReplace: false))
    let id = try fixture.id("v")
    #expect(fixture.rejection(.createView(view, orReplace: false))?.message == "relation \"v\" already exists")
    view.columns[0].type = .text
    #expect(
      fixture.rejection(.createView(view, orReplace: true))?.message
        == "cannot change data type of view column \"a\" from integer to text")
    view.columns = []
    #expect(fixture.rejection(.createView(view, orReplace: true))?.message == "cannot drop columns from view")
    view.columns = [.init(name: "a", type: .int4), .init(name: "b", type: .text)]
    view.query = "SELECT 2"
    #expect(try fixture.append(.createView(view, orReplace: true)).map(\.kind) == ["ViewReplaced"])
    #expect(fixture.image.views[id]?.query == "SELECT 2")
    view.dependencies = [id]
    #expect(fixture.rejection(.createView(view, orReplace: true))?.sqlState.rawValue == "42P17")
    #expect(
      fixture.rejection(
        .createView(
          {
            var other = view; other.name = "t"; return other
          }(), orReplace: true))?.message == "\"t\" is not a view")
  }

  @Test func aViewWhoseTableHasGoneIsRefused() throws {
    let fixture = try Fixture.cluster()
    let rejection = fixture.rejection(
      .createView(view("v", reads: [ObjectID(rawValue: 99999)]), orReplace: false))
    #expect(rejection?.sqlState.rawValue == "42P01")
  }
}
