"""What lies in shared memory, for both sides of it. Knows no data model."""
