"""How benchmark.py shows what it measured: rows of a table, layers, bars."""

import statistics


def steps(times):
    """The ms of each step: its parts together."""
    return [sum(step) for step in zip(*times.values(), strict=True)]


def line(result):
    """A result as a row of the table."""
    cells = [f"{result['net']:<13}{result['batch']:>5}{result['threads']:>8}"]
    for times in result["ms"].values():
        parts = [f"{statistics.median(ms):9.1f}" for ms in times.values()]
        if len(times) > 1:
            parts.append(f"{statistics.median(steps(times)):9.1f}")
        cells.append("".join(parts) + f" [{min(steps(times)):7.1f}]")
    cells.append(f"{result['speed']:6.2f} [{result['best_speed']:.2f}]")
    return "  ".join(cells)


def heading(sides, parts):
    names = [f"{part:>9}" for part in parts] + ([f"{'step':>9}"] if len(parts) > 1 else [])
    columns = "".join(names) + "    [best]"
    width = len(columns)
    over = " " * 26 + "  ".join(f"{side + ', ms':^{width}}" for side in sides)
    head = "  ".join([f"{'net':<13}{'batch':>5}{'threads':>8}", *[columns] * len(sides)])
    return f"{over}\n{head}" + "   speed [best]"


def layer_lines(rows, most):
    """The time by type, then the `most` slowest layers of caffelite's."""
    types = {}
    for row in rows:
        for side, ms in row["ms"].items():
            kind = types.setdefault(row["type"], {})
            kind[side] = kind.get(side, 0) + sum(ms)
    yield f"  {'type':<20}{'caffelite ms':>14}{'PyTorch ms':>14}"
    for kind, ms in sorted(types.items(), key=lambda item: -item[1].get("caffelite", 0)):
        yield f"  {kind:<20}{ms.get('caffelite', 0):14.2f}{ms.get('PyTorch', 0):14.2f}"
    yield (
        f"  {'layer':<34}{'top':<20}{'forward':>9}{'backward':>9}{'GFLOP/s':>14}"
        f"{'| forward':>12}{'backward':>9}"
    )
    for row in sorted(rows, key=lambda row: -sum(row["ms"].get("caffelite", [0])))[:most]:
        if "caffelite" not in row["ms"]:
            continue
        (ahead, back), theirs = row["ms"]["caffelite"], row["ms"].get("PyTorch")
        macs = zip(row["macs"], (ahead, back), strict=True)
        rates = ", ".join(f"{rate(count, ms):.0f}" for count, ms in macs if count and ms)
        beside = f"{theirs[0]:12.2f}{theirs[1]:9.2f}" if theirs else ""
        shape = "x".join(map(str, row["shape"][0])) if row["shape"] else ""
        yield f"  {row['layer']:<34}{shape:<20}{ahead:9.2f}{back:9.2f}{rates:>14}{beside}"


def rate(macs, ms):
    """GFLOP/s"""
    return 2 * macs / (ms * 1e6)


def plot(results, path):
    """Bars of both sides' steps, PyTorch's being 1."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(1.6 + 1.3 * len(results), 4.2), layout="constrained")
    colors = {
        "caffelite": ("#1f6f8b", "#58b4d1", "#a9dbe9"),
        "PyTorch": ("#8a8a8a", "#c4c4c4", "#e2e2e2"),
    }
    for i, result in enumerate(results):
        whole = statistics.median(steps(result["ms"]["PyTorch"]))
        width = 0.8 / len(result["ms"])
        for at, (side, times) in enumerate(result["ms"].items()):
            offset = (at + 0.5) * width - 0.4
            total, bottom = statistics.median(steps(times)), 0.0
            share = total / whole / sum(map(sum, times.values()))
            for color, (part, ms) in zip(colors[side], times.items(), strict=False):
                height = sum(ms) * share
                label = f"{side}, {part}" if i == 0 else None
                axes.bar(i + offset, height, 0.95 * width, bottom, color=color, label=label)
                bottom += height
            label = f"{total / 1e3:.3g} s" if total > 999 else f"{total:.3g} ms"
            axes.annotate(label, (i + offset, bottom), ha="center", va="bottom", size=8)
    names = [
        f"{r['net']}\nbatch {r['batch']}, {r['threads']} thread{'s' * (r['threads'] > 1)}"
        for r in results
    ]
    axes.set_xticks(range(len(results)), names, size=8)
    axes.set_ylabel("time, PyTorch = 1")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
