from .pycaffe.detector import *
