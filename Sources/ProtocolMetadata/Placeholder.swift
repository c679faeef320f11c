// Placeholder until the first slice of ProtocolMetadata lands.
