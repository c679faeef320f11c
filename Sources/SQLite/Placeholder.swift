// Placeholder until the first slice of SQLite lands.
