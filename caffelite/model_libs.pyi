from .pycaffe.model_libs import *
