/// The templates of `to_char` and `to_number` for numbers (manual, 9.8, tables 9.29 and 9.30).
package struct NumberTemplate: Sendable {
  enum Element: Sendable, Equatable {
    /// `9` or `0`.
    case digit(isZero: Bool)
    case point
    case group
    case sign(Sign)
    case currency
    case ordinal(isUpper: Bool)
    case literal(String)
  }

  enum Sign: Sendable, Equatable { case anchored, minus, plus, either, brackets }

  private(set) var elements: [Element] = []
  private(set) var isFilled = true
  private(set) var isRoman = false
  private(set) var isUpperRoman = true
  private(set) var isScientific = false
  /// Digits after `V`: the number is multiplied by that power of ten.
  private(set) var multiplier = 0
  private(set) var integerPlaces = 0
  private(set) var fractionPlaces = 0
  /// The place of the first `0` before the point, counted from the left; nil where there is none.
  private(set) var firstZero: Int?
  /// How many places after the point are up to the last `0`.
  private(set) var lastFractionZero = 0
  private(set) var signStyle: Sign?
  private(set) var signIsLast = false

  /// Reads a template.
  /// - Throws: 42601 for contradicting patterns.
  package init(_ text: String) throws(SQLError) {
    var scanner = ByteScanner(text)
    var afterPoint = false
    var afterMultiplier = false
    while let byte = scanner.peek {
      if byte == 0x22 || byte == 0x5c {
        elements.append(.literal(NumberTemplate.quoted(&scanner)))
      } else if scanner.accept("eeee") {
        isScientific = true
      } else if scanner.accept("fm") {
        isFilled = false
      } else if scanner.accept("mi") {
        try addSign(.minus)
      } else if scanner.accept("pl") {
        try addSign(.plus)
      } else if scanner.accept("sg") {
        try addSign(.either)
      } else if scanner.accept("pr") {
        try addSign(.brackets)
      } else if scanner.accept("rn") {
        isRoman = true
        isUpperRoman = byte == 0x52
      } else if scanner.accept("th") {
        elements.append(.ordinal(isUpper: byte == 0x54))
      } else {
        scanner.advance()
        try addCharacter(byte, &afterPoint, &afterMultiplier, &scanner)
      }
    }
    try checkScientific()
  }

  /// `EEEE` allows nothing but digits and a point.
  private func checkScientific() throws(SQLError) {
    if isScientific, !isFilled || signStyle != nil || isRoman || multiplier > 0 {
      throw SQLError(
        .syntaxError, "\"EEEE\" is incompatible with other formats",
        detail: "\"EEEE\" may only be used together with digit and decimal point patterns.")
    }
  }

  private mutating func addCharacter(
    _ byte: UInt8, _ afterPoint: inout Bool, _ afterMultiplier: inout Bool, _ scanner: inout ByteScanner
  ) throws(SQLError) {
    switch lowercase(byte) {
    case 0x39, 0x30:
      addDigit(isZero: byte == 0x30, afterPoint, afterMultiplier)
    case 0x2e, 0x64:
      if afterPoint { throw SQLError(.syntaxError, "multiple decimal points") }
      if afterMultiplier { throw SQLError(.syntaxError, "cannot use \"V\" and decimal point together") }
      afterPoint = true
      elements.append(.point)
    case 0x2c, 0x67: elements.append(.group)
    case 0x73: try addSign(.anchored)
    case 0x6c: elements.append(.currency)
    case 0x62: break
    case 0x76:
      if afterPoint { throw SQLError(.syntaxError, "cannot use \"V\" and decimal point together") }
      afterMultiplier = true
    default:
      var bytes = [byte]
      while let next = scanner.peek, next & 0xc0 == 0x80 {
        bytes.append(next)
        scanner.advance()
      }
      elements.append(.literal(String(decoding: bytes, as: UTF8.self)))
    }
  }

  private mutating func addDigit(isZero: Bool, _ afterPoint: Bool, _ afterMultiplier: Bool) {
    if afterPoint {
      fractionPlaces += 1
      if isZero { lastFractionZero = fractionPlaces }
    } else {
      if isZero, firstZero == nil { firstZero = integerPlaces }
      integerPlaces += 1
      if afterMultiplier { multiplier += 1 }
    }
    elements.append(.digit(isZero: isZero))
  }

  private mutating func addSign(_ sign: Sign) throws(SQLError) {
    if let signStyle, sign == .anchored || signStyle == .anchored {
      throw SQLError(
        .syntaxError,
        sign == .anchored ? "cannot use \"S\" twice" : "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together")
    }
    signStyle = sign
    signIsLast = elements.contains { if case .digit = $0 { true } else { false } }
    elements.append(.sign(sign))
  }

  /// Text in double quotes, or the character after a backslash.
  static func quoted(_ scanner: inout ByteScanner) -> String {
    var bytes: [UInt8] = []
    if scanner.accept(0x5c) {
      if let byte = scanner.peek, byte == 0x22 {
        scanner.advance()
        return "\""
      }
      return "\\"
    }
    scanner.advance()
    while let byte = scanner.peek, byte != 0x22 {
      if byte == 0x5c, scanner.peek(1) != nil { scanner.advance() }
      if let next = scanner.peek { bytes.append(next) }
      scanner.advance()
    }
    scanner.advance()
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: to_char

  /// The number as the template shows it.
  package func format(_ number: NumericValue) throws(SQLError) -> String {
    if isRoman { return try roman(number) }
    if isScientific { return scientific(number) }
    let scaled =
      multiplier > 0
      ? try number.multiplied(by: NumericValue(isNegative: false, magnitude: .powerOfTen(multiplier), scale: 0))
      : number
    let rounded = scaled.rounded(toScale: fractionPlaces)
    var integerDigits = "#"
    var fractionDigits = String(repeating: "#", count: fractionPlaces)
    var overflows = !number.isFinite
    if number.isFinite {
      let text = rounded.absolute().text
      let parts = text.split(separator: ".")
      integerDigits = parts[0] == "0" && integerPlaces > 0 ? "" : String(parts[0])
      fractionDigits = parts.count > 1 ? String(parts[1]) : ""
      if integerDigits.utf8.count > integerPlaces { overflows = true }
    }
    if overflows {
      integerDigits = String(repeating: "#", count: integerPlaces)
      fractionDigits = String(repeating: "#", count: fractionPlaces)
    }
    var builder = NumberBuilder(
      template: self, isNegative: rounded.signum < 0, integer: Array(integerDigits.utf8),
      fraction: Array(fractionDigits.utf8))
    return builder.build()
  }

  private func scientific(_ number: NumericValue) -> String {
    let isNegative = number.signum < 0
    guard number.isFinite else {
      let marks = String(repeating: "#", count: integerPlaces + 1)
      return (isNegative ? "-" : " ") + marks + "." + String(repeating: "#", count: fractionPlaces + 4)
    }
    var exponent = number.isZero ? 0 : number.magnitude.digitCount - 1 - number.scale
    var digits = number.magnitude
    let excess = number.magnitude.digitCount - 1 - fractionPlaces
    if excess > 0 {
      digits = digits.scaledDownRounding(by: excess)
      if digits.digitCount > fractionPlaces + 1 {
        digits = digits.scaledDown(by: 1)
        exponent += 1
      }
    } else if !number.isZero {
      digits = digits.scaledUp(by: -excess)
    }
    let mantissa = NumericValue(isNegative: false, magnitude: digits, scale: fractionPlaces).text
    let magnitude = abs(exponent)
    return (isNegative ? "-" : signStyle == .anchored ? "+" : isFilled ? " " : "") + mantissa + "e"
      + (exponent < 0 ? "-" : "+")
      + (magnitude < 10 ? "0" : "") + String(magnitude)
  }

  private func roman(_ number: NumericValue) throws(SQLError) -> String {
    let value = number.isFinite ? number.rounded(toScale: 0).int64Value ?? 0 : 0
    guard (1...3999).contains(value) else { return String(repeating: "#", count: 15) }
    let numerals: [(Int64, String)] = [
      (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
      (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ]
    var rest = value
    var text = ""
    for (amount, numeral) in numerals {
      while rest >= amount {
        text += numeral
        rest -= amount
      }
    }
    if !isUpperRoman { text = lowercaseASCII(text) }
    return isFilled ? String(repeating: " ", count: 15 - text.utf8.count) + text : text
  }

  // MARK: to_number

  /// The number in a text that is written as the template says.
  /// - Throws: 22P02 where there is no number.
  package func parse(_ text: String) throws(SQLError) -> NumericValue {
    if isRoman { throw SQLError(.featureNotSupported, "\"RN\" not supported for input") }
    if isScientific { throw SQLError(.featureNotSupported, "\"EEEE\" not supported for input") }
    var scanner = ByteScanner(text)
    var digits = ""
    var isNegative = false
    var sawPoint = false
    func sign() {
      while let byte = scanner.peek, byte == 0x20 { scanner.advance() }
      if scanner.accept(0x2d) || scanner.accept(0x3c) {
        isNegative = true
      } else {
        _ = scanner.accept(0x2b)
      }
    }
    sign()
    for element in elements {
      switch element {
      case .digit:
        if digits.isEmpty { sign() }
        while scanner.peek == 0x20 { scanner.advance() }
        if let byte = scanner.peek, isDigit(byte) {
          digits.unicodeScalars.append(Unicode.Scalar(byte))
          scanner.advance()
        } else if scanner.peek == 0x2e, !sawPoint, fractionPlaces > 0 {
          break
        }
      case .point:
        if scanner.accept(0x2e) {
          sawPoint = true
          digits.append(".")
        }
      case .group: _ = scanner.accept(0x2c)
      case .sign: sign()
      case .currency, .ordinal: if scanner.peek != nil, !isDigit(scanner.peek ?? 0) { scanner.advance() }
      case .literal(let text): for _ in text.utf8 where !scanner.isAtEnd { scanner.advance() }
      }
    }
    if scanner.peek == 0x2d { isNegative = true }
    if digits.isEmpty || digits == "." {
      throw SQLError(
        .invalidTextRepresentation, "invalid input syntax for type numeric: \" \"")
    }
    let value = try NumericValue(parsing: (isNegative ? "-" : "") + digits)
    guard multiplier > 0 else { return value }
    return try value.divided(by: NumericValue(isNegative: false, magnitude: .powerOfTen(multiplier), scale: 0))
  }
}

/// Puts a number's digits into a template.
private struct NumberBuilder {
  let template: NumberTemplate
  let isNegative: Bool
  let integer: [UInt8]
  let fraction: [UInt8]

  private var result = ""
  private var place = 0
  private var fractionPlace = 0
  private var afterPoint = false
  private var hasStarted = false
  private var signWritten = false

  init(template: NumberTemplate, isNegative: Bool, integer: [UInt8], fraction: [UInt8]) {
    self.template = template
    self.isNegative = isNegative
    self.integer = integer
    self.fraction = fraction
  }

  /// The digits after the point that are shown: with FM no zeros after the last `0` of the template.
  private var shownFraction: Int {
    guard !template.isFilled else { return fraction.count }
    var count = fraction.count
    while count > template.lastFractionZero, count > 0, fraction[count - 1] == 0x30 { count -= 1 }
    return count
  }

  /// Whether the sign stands right before the first digit: plain templates, a leading `S`, brackets.
  private var leadingSign: String? {
    switch template.signStyle {
    case nil, .plus: return isNegative ? "-" : template.isFilled ? " " : ""
    case .anchored where !template.signIsLast: return isNegative ? "-" : "+"
    case .brackets: return isNegative ? "<" : template.isFilled ? " " : ""
    default: return nil
    }
  }

  mutating func build() -> String {
    let firstShown = min(template.firstZero ?? template.integerPlaces, template.integerPlaces - integer.count)
    for element in template.elements {
      switch element {
      case .digit(let isZero): digit(isZero: isZero, firstShown)
      case .point:
        start()
        // A point without digits after it is not shown.
        if template.fractionPlaces > 0 { result += "." }
        afterPoint = true
      case .group:
        if hasStarted { result += "," } else if template.isFilled { result += " " }
      case .sign(let sign): self.sign(sign)
      case .currency: result += " "
      case .ordinal(let isUpper): ordinal(isUpper)
      case .literal(let text): result += text
      }
    }
    if template.signStyle == .brackets {
      result += isNegative ? ">" : template.isFilled ? " " : ""
    } else if template.signStyle == nil, !hasStarted {
      start()
    }
    return result
  }

  private mutating func start() {
    if hasStarted { return }
    hasStarted = true
    if let leadingSign { result += leadingSign }
  }

  private mutating func digit(isZero: Bool, _ firstShown: Int) {
    if afterPoint {
      if fractionPlace < shownFraction { result.unicodeScalars.append(Unicode.Scalar(fraction[fractionPlace])) }
      fractionPlace += 1
      return
    }
    let index = place - (template.integerPlaces - integer.count)
    let isLastPlace = place == template.integerPlaces - 1
    if place >= firstShown {
      start()
      result.unicodeScalars.append(index >= 0 ? Unicode.Scalar(integer[index]) : "0")
    } else if isLastPlace, template.fractionPlaces == 0 {
      // A zero without fraction shows its digit.
      start()
      result += "0"
    } else if isLastPlace, !template.isFilled, shownFraction == 0, template.elements.contains(.point) {
      start()
      result += "0"
    } else if template.isFilled {
      result += " "
    }
    place += 1
  }

  private mutating func sign(_ sign: NumberTemplate.Sign) {
    switch sign {
    case .anchored:
      if template.signIsLast { result += isNegative ? "-" : "+" }
    case .minus: result += isNegative ? "-" : template.isFilled ? " " : ""
    case .plus:
      if isNegative {
        signForPlus()
      } else {
        result += "+"
      }
    case .either: result += isNegative ? "-" : "+"
    case .brackets: break
    }
  }

  /// `PL` with a negative number: a blank here, the minus before the first digit.
  private mutating func signForPlus() {
    if template.isFilled { result += " " }
  }

  private mutating func ordinal(_ isUpper: Bool) {
    guard !afterPoint, !isNegative, integer.first != 0x23 else { return }
    result += NumberTemplate.ordinalSuffix(Int(String(decoding: integer.suffix(2), as: UTF8.self)) ?? 0, isUpper)
  }
}

extension NumberTemplate {
  /// `st`, `nd`, `rd`, `th`.
  static func ordinalSuffix(_ number: Int, _ isUpper: Bool) -> String {
    let suffix: String
    switch (number % 100 / 10, number % 10) {
    case (1, _): suffix = "th"
    case (_, 1): suffix = "st"
    case (_, 2): suffix = "nd"
    case (_, 3): suffix = "rd"
    default: suffix = "th"
    }
    return isUpper ? TextFunctions.upper(suffix) : suffix
  }
}
