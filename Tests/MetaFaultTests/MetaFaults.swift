import Testing

/// Real meta processes, real signals, disks and networks: one group at a time, so that none waits for another's share of the
/// machine. Each scenario records what clients asked and were told, and checks that one log can have answered so.
@Suite(.serialized)
enum MetaFaults {}
