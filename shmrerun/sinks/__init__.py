"""Where chunks go, one sink a file. Sinks know bytes of the ``.rrd`` format, never rings."""
