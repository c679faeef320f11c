/// The words that dates are written with.
enum DateTimeWords {
  static let months: [String: Int] = [
    "jan": 1, "january": 1, "feb": 2, "february": 2, "mar": 3, "march": 3, "apr": 4, "april": 4, "may": 5, "jun": 6,
    "june": 6, "jul": 7, "july": 7, "aug": 8, "august": 8, "sep": 9, "sept": 9, "september": 9, "oct": 10,
    "october": 10, "nov": 11, "november": 11, "dec": 12, "december": 12,
  ]

  static let weekdays: Set<String> = [
    "sun", "sunday", "mon", "monday", "tue", "tues", "tuesday", "wed", "weds", "wednesday", "thu", "thur", "thurs",
    "thursday", "fri", "friday", "sat", "saturday",
  ]

  /// The abbreviations of PostgreSQL's default set that are in common use, in seconds east.
  static let abbreviations: [String: Int] = [
    "utc": 0, "gmt": 0, "z": 0, "zulu": 0, "ut": 0, "uct": 0, "wet": 0, "west": 3600, "bst": 3600, "cet": 3600,
    "met": 3600, "cest": 7200, "mest": 7200, "mesz": 7200, "mez": 3600, "eet": 7200, "eest": 10800, "msk": 10800,
    "msd": 14400, "ist": 7200, "sast": 7200, "jst": 32400, "kst": 32400, "hkt": 28800, "pht": 28800, "sgt": 28800,
    "awst": 28800, "acst": 34200, "aest": 36000, "aedt": 39600, "nzst": 43200, "nzdt": 46800, "ast": -14400,
    "adt": -10800, "est": -18000, "edt": -14400, "cst": -21600, "cdt": -18000, "mst": -25200, "mdt": -21600,
    "pst": -28800, "pdt": -25200, "akst": -32400, "akdt": -28800, "hst": -36000, "nst": -12600, "ndt": -9000,
    "brt": -10800, "art": -10800, "clt": -14400, "cot": -18000, "pet": -18000,
  ]

  static let monthNames = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
  ]

  static let weekdayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
}

/// Zones by abbreviation.
package enum DateTimeAbbreviations {
  /// The fixed offset that an abbreviation such as `PST` stands for.
  package static func zone(named name: String) -> TimeZoneRule? {
    DateTimeWords.abbreviations[lowercaseASCII(name)].map {
      TimeZoneRule(name: name, offsetSeconds: $0, abbreviation: name)
    }
  }
}
