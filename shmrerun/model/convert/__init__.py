"""From what users give to the Arrow-layout parts of a component."""
