from .pycaffe._caffe import *
