"""Where data comes from: one file per origin; the registry finds them."""
