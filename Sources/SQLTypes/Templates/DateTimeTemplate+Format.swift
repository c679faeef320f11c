/// `to_char` of dates and times.
extension DateTimeTemplate {
  /// The value as the template shows it.
  package func format(_ parts: DateTimeParts) -> String {
    var result = ""
    for node in nodes {
      switch node {
      case .literal(let text), .separator(let text): result += text
      case .field(let field): result += DateTimeTemplate.text(field, parts)
      }
    }
    return result
  }

  private static func text(_ field: Field, _ parts: DateTimeParts) -> String {
    if let number = number(field, parts) {
      let text = padded(number.value, field.isTrimmed ? 1 : number.width)
      guard let ordinal = field.ordinal else { return text }
      return text + NumberTemplate.ordinalSuffix(Int(abs(number.value) % 100), ordinal)
    }
    return word(field, parts)
  }

  /// The number that a field shows, with its width.
  private static func number(_ field: Field, _ parts: DateTimeParts) -> (value: Int64, width: Int)? {
    let isInterval = parts.days == nil
    let year = Int64(isInterval || parts.year > 0 ? parts.year : 1 - parts.year)
    let days = parts.days ?? 0
    let iso = isInterval ? (year: parts.year, week: 0) : CivilCalendar.isoWeek(days: days)
    let isoYear = Int64(iso.year > 0 ? iso.year : 1 - iso.year)
    let dayOfYear =
      isInterval
      ? Int64(parts.year * 12 + parts.month) * 30 + Int64(parts.day) : Int64(CivilCalendar.dayOfYear(days: days))
    switch field.name {
    // In these fields a negative number gets a place more.
    case "hh24": return (parts.hour, parts.hour < 0 ? 3 : 2)
    case "hh12", "hh": return (parts.hour % 12 == 0 ? 12 : parts.hour % 12, parts.hour < 0 ? 3 : 2)
    case "mi": return (parts.minute, parts.minute < 0 ? 3 : 2)
    case "ss": return (parts.second, parts.second < 0 ? 3 : 2)
    case "ssss", "sssss": return (parts.hour * 3600 + parts.minute * 60 + parts.second, 1)
    case "yyyy": return (year, 4)
    case "yyy": return (year % 1000, 3)
    case "yy": return (year % 100, 2)
    case "y": return (year % 10, 1)
    case "iyyy": return (isoYear, 4)
    case "iyy": return (isoYear % 1000, 3)
    case "iy": return (isoYear % 100, 2)
    case "i": return (isoYear % 10, 1)
    case "mm": return (Int64(parts.month), 2)
    case "dd": return (Int64(parts.day), 2)
    case "ddd": return (dayOfYear, 3)
    case "iddd": return (days - CivilCalendar.isoWeekStart(year: iso.year) + 1, 3)
    case "d": return (Int64(CivilCalendar.weekday(days: days)) + 1, 1)
    case "id": return (Int64((CivilCalendar.weekday(days: days) + 6) % 7) + 1, 1)
    case "w": return (Int64((parts.day - 1) / 7 + 1), 1)
    case "ww": return ((dayOfYear - 1) / 7 + 1, 2)
    case "iw": return (Int64(iso.week), 2)
    case "cc":
      return (
        isInterval ? year / 100 : parts.year > 0 ? (year + 99) / 100 : -((year + 99) / 100),
        parts.year > 0 || isInterval ? 2 : 3
      )
    case "q": return (parts.month == 0 ? 0 : Int64((parts.month - 1) / 3 + 1), 1)
    case "j": return (days + CivilCalendar.epochJulianDay, 1)
    default: return nil
    }
  }

  private static func word(_ field: Field, _ parts: DateTimeParts) -> String {
    switch field.name {
    case "ms": return digits(parts.microsecond / 1000, 3, field)
    case "us": return digits(parts.microsecond, 6, field)
    case "ff1", "ff2", "ff3", "ff4", "ff5", "ff6":
      let count = Int(field.name.last?.wholeNumberValue ?? 6)
      var value = parts.microsecond
      for _ in count..<6 { value /= 10 }
      return digits(value, count, field)
    case "am", "pm": return meridian(parts, "AM", "PM", field)
    case "a.m.", "p.m.": return meridian(parts, "A.M.", "P.M.", field)
    case "bc", "ad": return cased(parts.days != nil && parts.year <= 0 ? "BC" : "AD", field)
    case "b.c.", "a.d.": return cased(parts.days != nil && parts.year <= 0 ? "B.C." : "A.D.", field)
    case "y,yyy":
      let year = parts.year > 0 ? parts.year : 1 - parts.year
      return "\(year / 1000)," + padded(Int64(year % 1000), 3)
    case "month": return name(DateTimeWords.monthNames, parts.month - 1, 9, field)
    case "mon": return name(DateTimeWords.monthNames.map { String($0.prefix(3)) }, parts.month - 1, 3, field)
    case "day":
      return name(DateTimeWords.weekdayNames, CivilCalendar.weekday(days: parts.days ?? 0), 9, field)
    case "dy":
      return name(
        DateTimeWords.weekdayNames.map { String($0.prefix(3)) }, CivilCalendar.weekday(days: parts.days ?? 0), 3, field)
    case "rm":
      let roman = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]
      return name(roman, parts.month - 1, 4, field)
    case "tz": return field.written.first == "t" ? lowercaseASCII(parts.zoneName ?? "") : parts.zoneName ?? ""
    case "tzh":
      let seconds = parts.offsetSeconds ?? 0
      return (seconds < 0 ? "-" : "+") + padded(Int64(abs(seconds) / 3600), 2)
    case "tzm": return padded(Int64(abs(parts.offsetSeconds ?? 0) % 3600 / 60), 2)
    case "of":
      let seconds = parts.offsetSeconds ?? 0
      let hours = (seconds < 0 ? "-" : "+") + padded(Int64(abs(seconds) / 3600), field.isTrimmed ? 1 : 2)
      return abs(seconds) % 3600 == 0 ? hours : hours + ":" + padded(Int64(abs(seconds) % 3600 / 60), 2)
    default: return ""
    }
  }

  private static func digits(_ value: Int64, _ width: Int, _ field: Field) -> String {
    padded(value, width) + (field.ordinal.map { NumberTemplate.ordinalSuffix(Int(value % 100), $0) } ?? "")
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let text = String(value.magnitude)
    let zeros = String(repeating: "0", count: max(0, width - text.utf8.count - (value < 0 ? 1 : 0)))
    return (value < 0 ? "-" : "") + zeros + text
  }

  private static func meridian(_ parts: DateTimeParts, _ morning: String, _ evening: String, _ field: Field) -> String {
    cased(parts.hour % 24 >= 12 ? evening : morning, field)
  }

  private static func cased(_ text: String, _ field: Field) -> String {
    field.written.utf8.first.map { $0 >= 0x61 } == true ? lowercaseASCII(text) : text
  }

  /// A name in the pattern's case, padded unless FM.
  private static func name(_ names: [String], _ index: Int, _ width: Int, _ field: Field) -> String {
    guard names.indices.contains(index) else { return "" }
    var text = names[index]
    let written = Array(field.written.utf8)
    if written.allSatisfy({ $0 < 0x61 }) {
      text = TextFunctions.upper(text)
    } else if written.first.map({ $0 >= 0x61 }) == true {
      text = lowercaseASCII(text)
    }
    return field.isTrimmed ? text : text + String(repeating: " ", count: max(0, width - text.utf8.count))
  }
}
