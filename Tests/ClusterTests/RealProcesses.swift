import Testing

/// Tests with real processes: one cluster at a time, so that none waits for another's share of the machine.
@Suite(.serialized)
enum RealProcesses {}
