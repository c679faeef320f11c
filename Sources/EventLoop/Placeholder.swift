// Placeholder until the first slice of EventLoop lands.
