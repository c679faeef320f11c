/// Names that PostgreSQL makes up (`makeObjectName` and `ChooseRelationName` in its indexcmds.c): name1_name2_label, the two
/// names cut evenly to fit 63 bytes, the label numbered until the name is free.
extension Decision {
  /// A free relation name. `taken` are names beyond those in the image.
  func chosenRelationName(
    _ first: String, _ second: String?, _ label: String, in schemaID: ObjectID, taken: Set<String> = []
  ) -> String {
    chosenName(first, second, label) { name in
      image.relationNames[RelationKey(schemaID: schemaID, name: name)] != nil || taken.contains(name)
    }
  }

  /// The first free of name, name1, name2 …
  func chosenName(
    _ first: String, _ second: String?, _ label: String, isTaken: (String) -> Bool
  ) -> String {
    var number = 0
    while true {
      let name = Decision.objectName(first, second, number == 0 ? label : "\(label)\(number)")
      if !isTaken(name) { return name }
      number += 1
    }
  }

  /// `first_second_label` in at most 63 bytes, cut at character boundaries.
  static func objectName(_ first: String, _ second: String?, _ label: String) -> String {
    let overhead = 1 + label.utf8.count + (second == nil ? 0 : 1)
    let available = nameLengthLimit - overhead
    var firstLength = first.utf8.count
    var secondLength = second?.utf8.count ?? 0
    while firstLength + secondLength > available {
      if firstLength > secondLength { firstLength -= 1 } else { secondLength -= 1 }
    }
    var parts = [clipped(first, firstLength)]
    if let second { parts.append(clipped(second, secondLength)) }
    return (parts + [label]).joined(separator: "_")
  }

  /// Column names joined by underscores, as in the names of indexes (`ChooseIndexNameAddition`).
  static func nameAddition(_ columns: [String]) -> String {
    var text = ""
    for column in columns {
      if !text.isEmpty { text += "_" }
      text += column
      if text.utf8.count >= nameLengthLimit + 1 { break }
    }
    return clipped(text, nameLengthLimit)
  }

  private static func clipped(_ text: String, _ lengthBytes: Int) -> String {
    var result = text
    while result.utf8.count > lengthBytes { result.unicodeScalars.removeLast() }
    return result
  }
}
