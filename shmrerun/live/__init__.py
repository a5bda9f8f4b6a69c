"""The live worker of a tree: sinks that are no files, each a cursor over the log, in a process of their own."""
