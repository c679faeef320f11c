// Placeholder until the first slice of SQLPlan lands.
