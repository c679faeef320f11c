// Placeholder until the first slice of ClusterManager lands.
