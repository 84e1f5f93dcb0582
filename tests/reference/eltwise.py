from . import epilogue as ref


def add(a, b, epilogue, y):
    y[...] = ref.forward((a + b).reshape(1, 1, -1), epilogue).reshape(-1)


def spread(y, dy, epilogue, da, db):
    dy *= ref.slopes(y.reshape(1, 1, -1), epilogue).reshape(-1)
    da[...] = db[...] = dy


def total(arrays):
    first, *others = arrays
    for other in others:
        first = first + other
    return first
