// Placeholder until the first slice of SQLiteEngine lands.
