// Placeholder until the first slice of MetadataService lands.
