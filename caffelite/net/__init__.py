"""Nets: layers wired by the names of their blobs.

Begin with net.py, which builds a Net and answers for it. passes.py filters a NetParameter and puts
Splits in, wiring.py makes a node of each layer, and plan.py says which nodes run backward. A step
(step.py, fused/) runs one node or several, schedule.py says which steps run for a part of a net,
and running.py goes through them. weights.py and what it imports bring values of files into a net.
"""

from .net import Net
