from .pycaffe.coord_map import *
