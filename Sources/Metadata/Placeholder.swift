// Placeholder until the first slice of Metadata lands.
