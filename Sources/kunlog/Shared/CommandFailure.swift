/// A command that could not be carried out: what, where, and what to do.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
}
