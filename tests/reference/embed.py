def add_rows(dy, index, dw):
    for row, at in zip(dy, index, strict=True):
        dw[at] += row
