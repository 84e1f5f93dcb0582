"""What a training writes about itself, and how that is read again.

A run log is a file of JSON objects, one a line; the guide (docs/pages/training.md) tells of each
kind of record. `writer` appends to it, `reader` and `follower` read it, and `glog_text` reads what
Caffe's programs write instead.
"""
