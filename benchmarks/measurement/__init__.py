"""What measurements are worth: each file here is one section, with a ``TITLE`` and ``lines()`` that give Markdown."""
