"""Classes of single values and of enums."""
