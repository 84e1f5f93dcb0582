"""tools/benchmark_data.py: loading is faster than training."""

import pytest

from tools import benchmark_data


@pytest.mark.long
def test_loading_is_at_least_three_times_as_fast_as_alexnet(capsys):
    words = ["--pictures", "64", "--steps", "3", "--transforms", "caffe", "inception"]
    rates = benchmark_data.main(words)
    for name in ("caffe", "inception"):
        assert rates[f"loads: {name}"] >= 3 * rates["AlexNet consumes"]
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(rates) == 7
