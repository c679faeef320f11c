// Placeholder until the first slice of Replica lands.
