"""What synchronous training on many ranks costs: compute as measured here, exchange by a model.

A message of n bytes takes alpha + n beta: alpha is the time that any message takes, beta the time
of a byte (Hockney 1994). To add a byte that came to one's own takes gamma, which is measured here.
Of p ranks, the sum of n bytes over all of them, which all of them have afterwards, takes (Thakur,
Rabenseifner, Gropp 2005, "Optimization of Collective Communication Operations in MPICH"):

    ring      2 (p - 1) (alpha + n / p beta) + (p - 1) / p n gamma
    doubling  log2 p (alpha + n beta + n gamma); where p is no power of 2, the log2 rounded down,
              alpha + n beta twice more, before and after, and n gamma once more
    tree      2 log2 p (alpha + n beta) + log2 p n gamma, the log2 rounded up: up level by level,
              and down

`ring` is also what slices cost that each rank gets of all others, adds up, and sends to all others.

Gradients set out in buckets, in the order in which backward finishes them, one bucket after the
other, while backward goes on below; sums take the time of the cores that backward runs on. A step
ends when the last gradient is there. All ranks wait for the slowest: steps here differ by a
standard deviation, and of p draws from a normal distribution the largest is expected near the
quantile (p - 3/8) / (p + 1/4) (Blom 1958).

Left out: the update, and data that come too late; ranks on one node, which share its link, its
memory and its caches; other traffic; links that are fewer above than below.
"""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, NamedTuple

MB = 1 << 20


def bucket_of(ranks: int) -> int:
    """How many bytes of gradients set out together, where nobody says: 4 MB, which stay in a cache.

    Of more than 32 ranks, 128 KB for each, up to 64 MB: their slices are not to be so small that
    alpha is all that they take. By this model, ResNet-50 on 128 ranks of 90 images/s, with 10gbe,
    so reaches 81 % of linear, and with 4 MB 55 %; faster networks lose up to 3 % at 256.
    """
    return min(max(4 * MB, ranks * MB // 8), 64 * MB)


class Network(NamedTuple):
    """alpha in seconds, beta in seconds a byte."""

    alpha: float
    beta: float


def _network(microseconds: float, gigabits: float, share: float) -> Network:
    return Network(microseconds * 1e-6, 8e-9 / (gigabits * share))


# Bytes a second: of Ethernet, what heads leave of frames of 1500 bytes, 1448 of the 1538 that take
# their time on the line; of InfiniBand, 64 of 66 bits, and of that 0.97 for MPI's and InfiniBand's
# own heads. alpha: of MPI over TCP 10 to 50 us, over InfiniBand 1 to 2 us (The alpha-beta model, in
# ttsugriy.github.io/distributed-training-book). They are orders of size: measure your own.
_TCP = 1448 / 1538
_INFINIBAND = 64 / 66 * 0.97
NETWORKS = {
    "1gbe": _network(50, 1, _TCP),
    "10gbe": _network(30, 10, _TCP),
    "25gbe": _network(20, 25, _TCP),
    "100gbe": _network(20, 100, _TCP),
    "fdr": _network(2, 56.25, _INFINIBAND),
    "edr": _network(1.5, 103.125, _INFINIBAND),
}


class Cost(NamedTuple):
    """Seconds on the network, and seconds of sums."""

    wire: float
    sums: float


def ring(ranks: int, size: float, network: Network, gamma: float) -> Cost:
    """Slice by slice, round all ranks, twice."""
    others = ranks - 1
    message = network.alpha + size / ranks * network.beta
    return Cost(2 * others * message, others / ranks * size * gamma)


def doubling(ranks: int, size: float, network: Network, gamma: float) -> Cost:
    """All of it, with a partner at the distance 1, 2, 4, ..."""
    levels = ranks.bit_length() - 1
    odd = ranks != 1 << levels
    message = network.alpha + size * network.beta
    return Cost((levels + 2 * odd) * message, (levels + odd) * size * gamma)


def tree(ranks: int, size: float, network: Network, gamma: float) -> Cost:
    """All of it, up a binary tree to one rank, and down again."""
    levels = (ranks - 1).bit_length()
    return Cost(2 * levels * (network.alpha + size * network.beta), levels * size * gamma)


EXCHANGES = {"ring": ring, "doubling": doubling, "tree": tree}
FASTEST = "auto"  # for each bucket, what is fastest


@dataclass(frozen=True)
class Profile:
    """What a rank does in a step by itself.

    forward : seconds
    backward : (seconds, bytes of gradients that are final then) of each layer, the last one first
    images : in its batch
    spread : standard deviation of the time of a step, as a share of it
    gamma : seconds to add a byte
    """

    forward: float
    backward: tuple[tuple[float, int], ...]
    images: int
    spread: float = 0.0
    gamma: float = 0.0

    @property
    def seconds(self) -> float:
        """Of a step without an exchange."""
        return self.forward + sum(seconds for seconds, _ in self.backward)

    @property
    def bytes(self) -> int:
        """Of all gradients."""
        return sum(size for _, size in self.backward)

    def faster(self, factor: float) -> "Profile":
        """That of a rank that computes `factor` times as fast."""
        return replace(
            self,
            forward=self.forward / factor,
            backward=tuple((seconds / factor, size) for seconds, size in self.backward),
            gamma=self.gamma / factor,
        )


def of_report(report: dict[str, Any]) -> Profile:
    """The Profile in what `caffelite time --ranks ... --json` printed."""
    layers = [(layer["backward_ms"] / 1e3, layer["gradient_bytes"]) for layer in report["layers"]]
    scaling = report["scaling"]
    return Profile(
        report["forward_ms"] / 1e3,
        tuple(reversed(layers)),
        scaling["images"],
        scaling["spread"],
        scaling["seconds_to_add_a_byte"],
    )


class Step(NamedTuple):
    """A step of all ranks, in seconds; `exposed` is what of the exchange nothing hides."""

    ranks: int
    seconds: float
    exchange: float
    exposed: float
    images_per_second: float
    of_linear: float
    by: tuple[str, ...]  # which exchanges were chosen


def slowest(ranks: int) -> float:
    """By how many standard deviations the slowest of the ranks is late, as expected."""
    return NormalDist().inv_cdf((ranks - 0.375) / (ranks + 0.25)) if ranks > 1 else 0.0


def step(
    profile: Profile,
    ranks: int,
    network: Network,
    exchange: str = FASTEST,
    bucket: int | None = None,
    late: float | None = None,
) -> Step:
    """A step of so many ranks; `late` is by how many deviations the slowest is, see `slowest`.

    `bucket` is how many bytes set out together, or None for `bucket_of` so many ranks.
    """
    bucket = bucket or bucket_of(ranks)
    stretch = 1 + profile.spread * (slowest(ranks) if late is None else late)
    clock, line_free = profile.forward * stretch, 0.0
    wire = sums = 0.0
    filled, left = 0, profile.bytes
    arriving: list[tuple[float, float]] = []  # when a bucket is there, seconds to add it up
    chosen = set()
    for seconds, size in profile.backward:
        clock += seconds * stretch
        while arriving and arriving[0][0] <= clock:
            clock += arriving.pop(0)[1]
        filled, left = filled + size, left - size
        if ranks > 1 and filled and (filled >= bucket or not left):
            for part in _parts(filled, bucket):
                by, cost = _fastest(ranks, part, network, profile.gamma, exchange)
                chosen.add(by)
                line_free = max(clock, line_free) + cost.wire
                arriving.append((line_free, cost.sums))
                wire, sums = wire + cost.wire, sums + cost.sums
            filled = 0
    for there, adding in arriving:
        clock = max(clock, there) + adding
    return Step(
        ranks,
        clock,
        wire + sums,
        clock - profile.seconds * stretch,
        ranks * profile.images / clock,
        profile.seconds / clock,
        tuple(sorted(chosen)),
    )


def _parts(size: int, bucket: int) -> list[float]:
    """A layer with more than a bucket sets out in several."""
    count = math.ceil(size / bucket)
    return [size / count] * count


def _fastest(
    ranks: int, size: float, network: Network, gamma: float, exchange: str
) -> tuple[str, Cost]:
    names = EXCHANGES if exchange == FASTEST else (exchange,)
    costs = {name: EXCHANGES[name](ranks, size, network, gamma) for name in names}
    return min(costs.items(), key=lambda cost: sum(cost[1]))
