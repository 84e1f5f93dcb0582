"""A net as its file has it: without the Splits that were put in where a blob has several readers.

Everything that shows a net, or looks for what a layer reads, asks here; `passes.insert_splits` is
what puts Splits in.
"""

from .passes import is_inserted


def without_splits(nodes):
    """[(node, names of its bottoms in the file)] of a net's nodes, but for the Splits put in."""
    found, in_file = [], {}
    for node in nodes:
        bottoms = [in_file.get(name, name) for name in node.bottom_names]
        if is_inserted(node.layer):
            in_file.update(dict.fromkeys(node.top_names, bottoms[0]))
        else:
            found.append((node, bottoms))
    return found
