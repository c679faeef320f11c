// Placeholder until the first slice of ComputeNode lands.
