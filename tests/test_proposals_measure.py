"""How many true boxes are among regions, by their number: against plain numpy, and in a report."""

import numpy as np

from caffelite import measures
from caffelite.measures import Batch
from caffelite.measures.detection import Detection
from caffelite.measures.proposals import Proposals

from .test_measures import DETECTED, IN_REGIONS, batches, net_of

OVERLAPS = np.arange(50, 100, 5) / 100


def recall_by_hand(regions, true):
    """Overlaps of true boxes with the region that is theirs: the largest overlap first."""
    free = [[overlap(a, b) for b in true] for a in regions]
    found = []
    while free and len(found) < min(len(regions), len(true)):
        a, b = max(np.ndindex(len(regions), len(true)), key=lambda at: free[at[0]][at[1]])
        found.append(free[a][b])
        for k in range(len(true)):
            free[a][k] = -1
        for row in free:
            row[b] = -1
    return found


def overlap(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / (sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - shared)


def measure_of(net):
    [found] = [one for one in measures.of_net(net) if isinstance(one, Proposals)]
    return found


def test_recall_is_that_of_plain_numpy():
    net = net_of(IN_REGIONS)
    measure, of_number, boxes = measure_of(net), {10: [], 50: []}, 0
    for batch in batches(net, 3):
        measure.add(batch)
        true = np.float64(batch.blobs["true"]).reshape(-1, 8)
        true, rois = true[true[:, 7] == 0], np.float64(batch.blobs["rois"])
        for n in range(batch.count or 4):
            regions = rois[rois[:, 0] == n, 1:]
            own = 80 * true[true[:, 0] == n, 3:7]
            boxes += len(own)
            for number, found in of_number.items():
                ends = [(a, b, c + 1, d + 1) for a, b, c, d in regions[:number]]
                found += recall_by_hand(ends, own)
    report = measure.report()
    assert report["boxes"] == boxes and report["samples"] == 10
    assert [one["number"] for one in report["by_number"]] == [10, 50]
    for one in report["by_number"]:
        found = np.array(of_number[one["number"]])
        want = [(found >= t).sum() / boxes for t in OVERLAPS]
        assert 0.05 < want[0] < 1
        np.testing.assert_allclose(one["recall"], want)
        np.testing.assert_allclose(one["average_recall"], np.mean(want))
    assert report["recall"] == report["by_number"][-1]["recall"][0]


def batch_of(regions, true, sides=(100, 200, 1)):
    rois = np.insert(np.float32(regions).reshape(-1, 4), 0, 0, axis=1)
    rows = [[0, 1, 0, *np.divide(box, [200, 100] * 2), 0] for box in true]
    true = np.float32(rows or [[-1] * 8]).reshape(1, 1, -1, 8)
    return Batch({"rois": rois, "true": true, "sizes": np.float32([sides])}, 1)


def test_regions_end_with_their_last_pixel_and_find_one_box_each():
    measure = measure_of(net_of(IN_REGIONS))
    measure.add(batch_of([[20, 20, 29, 29], [0, 0, 199, 99]], [[20, 20, 30, 30], [20, 20, 30, 31]]))
    report = measure.report()
    assert report["by_number"][0]["recall"] == [0.5] * 10 and len(report["by_number"]) == 1
    measure.add(batch_of(np.arange(11 * 4).reshape(11, 4), []))
    assert [one["number"] for one in measure.report()["by_number"]] == [10, 50]
    assert measure.report()["most_regions"] == 11 and measure.report()["boxes"] == 2


def test_without_true_boxes_there_is_no_recall():
    measure = measure_of(net_of(IN_REGIONS))
    measure.add(batch_of([], []))
    report = measure.report()
    assert report["recall"] is None and report["by_number"][0]["average_recall"] is None
    assert "recall = -" in list(measure.lines()) and measure.curves(report) == {}
    assert measure.figures() == {}


def test_only_what_is_found_in_regions_has_them():
    kinds = [
        {type(one) for one in measures.of_net(net_of(text))} for text in (DETECTED, IN_REGIONS)
    ]
    assert Proposals not in kinds[0] and kinds[1] == {Detection, Proposals}
