"""The ways in which files hold examples. Each is one file that ends in ``FORMAT``; contents decide, not names."""
