"""Matrix products, element by element."""


def gemm(a, b, out, trans_a=False, trans_b=False, accumulate=False):
    a, b = a.T if trans_a else a, b.T if trans_b else b
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            before = out[i, j] if accumulate else 0
            out[i, j] = before + sum(a[i, k] * b[k, j] for k in range(a.shape[1]))
