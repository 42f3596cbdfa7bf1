"""What can be made of a deployable file: one file per export, ending in the constant ``EXPORT``."""
