"""What a month costs: the table in the documentation is what the prices and sizes make."""

import re

import pytest
from pydantic import ValidationError

from kuberay.aks.costs import (
    AKS,
    PRIVATE_ENDPOINTS,
    Size,
    Use,
    main,
    month,
    read_prices,
    read_size,
    table,
)
from tests.kuberay.aks.terraform import Configuration

DOCUMENT = AKS.parents[1] / "docs" / "aks.md"
PRICES = read_prices()


def test_the_table_of_the_documentation_is_the_computed_one() -> None:
    assert table(PRICES) in DOCUMENT.read_text("utf-8")


def test_every_size_has_prices_and_every_price_of_use_a_size() -> None:
    assert set(PRICES.use) == {path.name.split(".")[0] for path in (AKS / "sizes").iterdir()}
    for name, use in PRICES.use.items():
        assert all(cost >= 0 for cost in month(read_size(name), use, PRICES).values())


def test_prices_are_those_of_the_default_region() -> None:
    region = Configuration.read().variables["region"]
    assert region.attributes["default"] == PRICES.region


def test_endpoints_are_counted() -> None:
    assert len(Configuration.read().locals["endpoints"]) == PRIVATE_ENDPOINTS


def test_a_gpu_pool_from_zero_costs_only_its_hours() -> None:
    size, use = read_size("small"), PRICES.use["small"]
    assert size.gpu_pool.min == 0
    idle = month(size, use.model_copy(update={"gpu_hours": 0}), PRICES)
    busy = month(size, use.model_copy(update={"gpu_hours": 10}), PRICES)
    assert idle["GPU nodes"] == 0
    disk = PRICES.disks[size.gpu_pool.disk_gb] / PRICES.hours
    assert busy["GPU nodes"] == pytest.approx(10 * (PRICES.nodes[size.gpu_pool.size] + disk))


def test_spot_nodes_and_a_replica_of_redis_count() -> None:
    size, use = read_size("small"), PRICES.use["small"]
    spot = size.gpu_pool.model_copy(update={"spot": True})
    twice = size.redis.model_copy(update={"high_availability": True})
    changed = size.model_copy(update={"gpu_pool": spot, "redis": twice})
    before, after = month(size, use, PRICES), month(changed, use, PRICES)
    assert after["GPU nodes"] < before["GPU nodes"]
    assert after["Redis"] == pytest.approx(2 * before["Redis"])


def test_logs_stay_below_the_cap_that_terraform_sets() -> None:
    for name, use in PRICES.use.items():
        assert use.logs_gb <= read_size(name).logs.daily_gb, name


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="gpus"):
        Use.model_validate({**PRICES.use["small"].model_dump(), "gpus": 1})
    with pytest.raises(ValidationError, match="gpu_pools"):
        Size.model_validate({**read_size("small").model_dump(), "gpu_pools": {}})


def test_prices_that_nobody_has_checked_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    printed = capsys.readouterr().out
    assert ("NOT CHECKED" in printed) is not PRICES.checked
    assert re.search(r"\| \*\*together\*\* \| \*\*[\d,]+\*\* \|", printed)
