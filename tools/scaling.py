"""Simulate trainings on up to 1,024 ranks, and draw them beside what was published of others.

    caffelite time models/resnet-50/train_val.prototxt --iterations 5 --ranks 2 --json > resnet.json
    python tools/scaling.py resnet.json --images-per-second 90 --out docs/pages/scaling.svg

PROFILE is what `caffelite time --ranks ... --json` measured: of each layer, how long backward takes
and how many bytes of gradients are final then. Steps are simulated by caffelite/parallel/cost.py,
each with a slowest rank that is drawn. --images-per-second lets a rank compute as fast as a machine
of others does by itself, with layers in the same proportions: the slower ranks compute, the less
their network matters. A table goes to stdout, the picture needs matplotlib.

What is drawn of others are their own figures, on their machines, with their batches. They show what
was reached, and hold nothing against the model.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):  # run as a script: find caffelite uninstalled, too
    sys.path.insert(0, str(ROOT))

from caffelite.parallel.cost import FASTEST, MB, NETWORKS, of_report, step  # noqa: E402
from caffelite.table import table  # noqa: E402

RANKS = [2**k for k in range(11)]
STEPS = 200  # that are simulated for a point

# (who, {ranks: share of linear})
PUBLISHED = [
    # Filby, Dandapanthula: Deep Learning Performance with Intel Caffe. Dell EMC, March 2018: Intel
    # Caffe 1.0.4, nodes of two Xeon Gold 6148, Omni-Path of 100 Gb/s; at least 90 % up to 128
    ("Intel Caffe, ResNet-50, Omni-Path", {128: 0.90, 256: 0.83, 314: 0.76}),
    # Das et al. 2016, arXiv:1602.06709: 90 times on 128 nodes, batch 512; 53 times on 64, batch 256
    ("Intel, VGG-A (Das 2016)", {64: 53 / 64, 128: 90 / 128}),
    # X. Chu at AICC 2017: 16 Tesla P40 in 4 nodes, 14.2 times with GoogLeNet at a batch of 128,
    # 15.34 times with ResNet at 32
    ("Caffe-MPI 2.0, GoogLeNet", {16: 14.2 / 16}),
    ("Caffe-MPI 2.0, ResNet-50", {16: 15.34 / 16}),
]


def simulate(profile, ranks, network, generator, bucket=None):
    """Images a second of all ranks, with the slowest of them drawn for each step."""
    drawn = generator.standard_normal((STEPS, ranks)).max(axis=1) if ranks > 1 else np.zeros(STEPS)
    seconds = [step(profile, ranks, network, FASTEST, bucket, late).seconds for late in drawn]
    return ranks * profile.images / float(np.mean(seconds))


def curves(profile, networks, bucket=None):
    """{network: [share of linear for each of RANKS]}."""
    alone, generator = profile.images / profile.seconds, np.random.default_rng(0)

    def share(ranks, network):
        return simulate(profile, ranks, network, generator, bucket) / (ranks * alone)

    return {name: [share(ranks, NETWORKS[name]) for ranks in RANKS] for name in networks}


def draw(found, title, out):
    """The curves as a picture, with the points of PUBLISHED."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "caffelite", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5))
    for name, shares in found.items():
        axes.plot(RANKS, [100 * share for share in shares], label=f"predicted, {name}")
    for (who, points), marker in zip(PUBLISHED, "os^v", strict=True):
        percents = [100 * share for share in points.values()]
        axes.plot(points.keys(), percents, marker, color="black", label=who)
    axes.set_xscale("log", base=2)
    axes.set_xticks(RANKS, [str(ranks) for ranks in RANKS])
    axes.set_ylim(0, 105)
    axes.set_xlabel("ranks")
    axes.set_ylabel("% of linear")
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None} if str(out).endswith(".svg") else None)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flag = parser.add_argument
    flag("profile", metavar="PROFILE", help="JSON of caffelite time --ranks")
    flag("--images-per-second", type=float, metavar="N", help="of a rank by itself [as measured]")
    flag("--spread", type=float, metavar="PERCENT", help="deviation of steps [as measured]")
    flag("--bucket", type=float, metavar="MB", help="gradients set out together [as train does]")
    flag("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    flag("--out", metavar="FILE", help="the picture to make")
    args = parser.parse_args(arguments)
    report = json.loads(Path(args.profile).read_text())
    if args.spread is not None:
        report["scaling"]["spread"] = args.spread / 100
    profile = of_report(report)
    if args.images_per_second:
        profile = profile.faster(args.images_per_second * profile.seconds / profile.images)
    found = curves(profile, args.networks, args.bucket and int(args.bucket * MB))
    rows = [
        (str(ranks), *(f"{100 * share:.1f}" for share in shares))
        for ranks, *shares in zip(RANKS, *found.values(), strict=True)
    ]
    title = (
        f"{report['net']}, {profile.images} images a rank, "
        f"{profile.images / profile.seconds:.3g} images/s, {profile.bytes / 1e6:.3g} MB"
    )
    print(title + "; % of linear:")
    print("\n".join(table(("ranks", *found), rows, left=0)))
    if args.out:
        draw(found, title, args.out)
        print(args.out)


if __name__ == "__main__":
    main()
