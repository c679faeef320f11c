import SQLPlan

/// The planner is what the execution of statements plans with.
extension Planner: StatementPlanning {}
