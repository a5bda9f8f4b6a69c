"""Ways into a recording from other libraries and programs."""
