"""The .rrd format: chunks, framing, footers. Source: rerun-sdk 0.41.0."""
