"""The aggregator: the one process of a tree that drains lanes, merges rows into chunks and writes them."""
