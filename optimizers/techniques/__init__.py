"""One file per technique; each ends in a ``TECHNIQUE``. A file that starts with ``_`` holds what several share.

A declaration is read by forms, the recipe check and the command line, so no file here imports TensorFlow at module
level: ``apply`` does that inside its body, in a worker process.
"""
