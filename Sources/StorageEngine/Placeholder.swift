// Placeholder until the first slice of StorageEngine lands.
