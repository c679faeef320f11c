// Placeholder until the first slice of LogStore lands.
