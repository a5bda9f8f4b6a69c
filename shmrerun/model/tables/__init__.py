"""Facts and words about archetypes, components and enums, as data: no code."""
