// Placeholder until the first slice of SQLParser lands.
