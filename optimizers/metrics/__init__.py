"""One file per metric; each ends in a ``METRIC``. A file that starts with ``_`` holds what several of them share.

``measure`` raises `NotApplicable` where a metric has no meaning for the evidence at hand (a speed-up without a
baseline, a ranking metric with one class only). No measurement is recorded then: there is no placeholder number.
"""
