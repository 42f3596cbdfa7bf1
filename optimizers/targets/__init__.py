"""Devices that a file may be meant for, and the makers' own tools that tell whether and how it runs there.

The tools are optional (``requirements-targets.txt``). Each runs in a process of its own, since compilers crash.
"""
