// Placeholder until the first slice of RPC lands.
