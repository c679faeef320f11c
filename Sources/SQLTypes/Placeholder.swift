// Placeholder until the first slice of SQLTypes lands.
