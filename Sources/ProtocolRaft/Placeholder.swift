// Placeholder until the first slice of ProtocolRaft lands.
