// Placeholder until the first slice of MetadataWire lands.
