"""e^x in vector registers."""

import math

from llvmlite import ir

_LN2 = {  # as a sum, the first of so few bits that its products with exponents are exact
    32: (6.9313812256e-01, 9.0580006145e-06),
    64: (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
_TERMS = {32: 8, 64: 14}  # of the series of e^x on [-ln 2 / 2, ln 2 / 2]
_LEAST = {32: -87.3, 64: -708.3}  # below it, powers of 2 are no normal numbers


def parts_of_exp(v, x):
    """(2^n, e^r - 1), where e^x = 2^n e^r and |r| is at most ln 2 / 2, for normal 2^n."""
    bits, builder = v.align * 8, v.builder
    mantissa, one = {32: (23, 0x3F800000), 64: (52, 0x3FF << 52)}[bits]
    round_off = v.number(1.5 * 2**mantissa)  # the sum's last bits are a whole number
    shifted = v.fma(x, v.number(1 / math.log(2)), round_off)
    power = v.sub(shifted, round_off)
    rest = x
    for part in _LN2[bits]:
        rest = v.fma(power, v.number(-part), rest)
    kind = ir.VectorType(ir.IntType(bits), v.lanes)
    exponent = builder.shl(builder.bitcast(shifted, kind), ir.Constant(kind, [mantissa] * v.lanes))
    scale = builder.add(exponent, ir.Constant(kind, [one] * v.lanes))
    series = v.number(0)
    for k in range(_TERMS[bits], 0, -1):
        series = v.fma(series, rest, v.number(1 / math.factorial(k)))
    return builder.bitcast(scale, v.type), v.mul(series, rest)


def exp_below_1(v, x):
    """e^x for x of 0 and less, which is 0 where it would be no normal number; NaN stays NaN."""
    least, builder = v.number(_LEAST[v.align * 8]), v.builder
    is_small = builder.fcmp_ordered("<", x, least)
    scale, less_one = parts_of_exp(v, builder.select(is_small, least, x))
    return builder.select(is_small, v.zero, v.fma(scale, less_one, scale))
