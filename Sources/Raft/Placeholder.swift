// Placeholder until the first slice of Raft lands.
