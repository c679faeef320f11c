import FoundationEssentials
import Glibc

/// Processor time and memory of processes, from /proc.
enum ProcessTimes {
  /// Seconds of processor time, of user and system, that the processes have used so far; one that is gone counts nothing.
  static func seconds(_ processes: [Int32]) -> Double {
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    return processes.reduce(0) { sum, process in
      guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
        let end = text.lastIndex(of: ")")
      else { return sum }
      // After the name in parentheses: state is the third field, utime the 14th, stime the 15th.
      let fields = text[text.index(after: end)...].split(separator: " ")
      guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return sum }
      return sum + (user + system) / ticks
    }
  }

  /// Resident memory of a process, in bytes; 0 where it is gone.
  static func residentBytes(_ process: Int32) -> Int {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8) else { return 0 }
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
  }

  /// Seconds of processor time that this process has used so far.
  static func own() -> Double { seconds([getpid()]) }
}
