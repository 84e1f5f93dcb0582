"""The web page of `caffelite view`: a net's graph, its editor, and the curves of a run.

The page is in page/; its libraries, built, in page/vendor/. No forward pass runs here: shapes,
counts and weights are all that is shown, so that requests can be answered in any thread.

samples.py makes the pages of `caffelite browse`, which the same server serves.
"""
