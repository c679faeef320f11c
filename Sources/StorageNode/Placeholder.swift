// Placeholder until the first slice of StorageNode lands.
