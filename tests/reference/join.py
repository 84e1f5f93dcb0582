def join(arrays, out):
    for at, array in arrays.items():
        out[:, at : at + array.shape[1]] = array


def part(array, outs):
    for at, out in outs.items():
        out[...] = array[:, at : at + out.shape[1]]
