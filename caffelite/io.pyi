from .pycaffe.io import *
