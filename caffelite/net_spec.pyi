from .pycaffe.net_spec import *
