"""Darknet's nets: a .cfg becomes a NetParameter, and tells in which order .weights hold its blobs.

`cfg.py` reads the sections of the text, `sections.py` has a function for each kind of them, which
makes layers, `maker.py` calls these. A new kind of section is one function in `sections.py`, and a
text in `tests/test_darknet.py`. The values are read by net/darknet_weights.py.
"""
