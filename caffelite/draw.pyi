from .pycaffe.draw import *
