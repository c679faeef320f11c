// Placeholder until the first slice of SQLTree lands.
