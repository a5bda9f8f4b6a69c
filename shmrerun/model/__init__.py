"""What can be logged, as columns and bytes. Knows no shared memory; imports no pyarrow until a rare type needs it."""
