"""The schema: message classes, prototxt in and out, upgrades of old files.

Begin with text.py, which reads a net or solver from a file: it parses, upgrades (upgrade.py,
old_names.py) and, where a text is wrong, says where and what was meant (scan.py, diagnose.py).
caffe_pb2.py has the message classes, made when imported of the compiled schema.
"""

from . import caffe_pb2
