"""The schema: message classes, prototxt in and out, upgrades of old files."""

from . import caffe_pb2
