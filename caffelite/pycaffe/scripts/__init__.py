"""Scripts and notebooks of others, run as they are.

script.py runs a Python script, notebook.py a Jupyter notebook, cell by cell; magics.py does what
lines of a notebook ask for that are no Python. python2.py tells what is Python 2, and rewrites
prints; old_pil.py finds pictures by the names of then; bvlc/ holds programs of our own for those
scripts of Caffe's repository that are Python 2.
"""
