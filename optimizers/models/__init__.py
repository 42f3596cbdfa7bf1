"""Where models come from: one file per origin; the registry finds them."""
