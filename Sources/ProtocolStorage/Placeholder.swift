// Placeholder until the first slice of ProtocolStorage lands.
