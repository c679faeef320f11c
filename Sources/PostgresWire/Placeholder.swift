// Placeholder until the first slice of PostgresWire lands.
