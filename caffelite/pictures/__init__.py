"""What is drawn: nets as graphs, the course of a training as curves, tables for notebooks.

draw.py writes a net as Graphviz text, which graphviz.py turns into a picture; curves.py finds the
curves of run logs, which plot.py draws; arrays.py makes pictures of filters and maps, notebook.py
what Jupyter shows of a net, and page.py pages of samples.
"""
