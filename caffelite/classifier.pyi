from .pycaffe.classifier import *
