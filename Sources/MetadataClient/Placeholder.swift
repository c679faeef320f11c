// Placeholder until the first slice of MetadataClient lands.
