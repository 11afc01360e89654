"""What a month costs: sizes/*.tfvars.json times prices.yaml, as a table (`make aks-costs`)."""

import json
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

AKS = Path(__file__).parent
PRIVATE_ENDPOINTS = 8
"""endpoints.tf; a test counts them."""
DAYS = 30


class Strict(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Pool(Strict):
    """A node pool's size, as Terraform takes it."""

    size: str
    min: int
    max: int
    disk_gb: int
    spot: bool = False


class Redis(Strict):
    """Redis, as Terraform takes it."""

    sku: str
    high_availability: bool


class Logs(Strict):
    """Log Analytics, as Terraform takes it."""

    days: int
    daily_gb: float


class Size(Strict):
    """One file of sizes/."""

    system_pool: Pool
    cpu_pool: Pool
    gpu_pool: Pool
    redis: Redis
    logs: Logs


class Use(Strict):
    """Hours of nodes beyond the fewest, and what is measured and logged a day."""

    cpu_hours: int
    gpu_hours: int
    logs_gb: float
    samples_m: float


class Prices(Strict):
    """prices.yaml; `checked` says whether somebody has compared them with Azure's."""

    checked: bool
    date: date
    region: str
    currency: str
    source: str
    hours: int
    nodes: Mapping[str, float]
    vcpus: Mapping[str, int]
    defender_vcpu_hour: float
    spot: float
    disks: Mapping[int, float]
    redis: Mapping[str, float]
    control_plane: float
    registry: float
    load_balancer: float
    private_endpoint: float
    grafana: float
    models: float
    ddos_plan: float
    log_gb: float
    samples_10m: float
    use: Mapping[str, Use]


def read_prices(path: Path = AKS / "prices.yaml") -> Prices:
    """Of the file."""
    return Prices.model_validate(yaml.safe_load(path.read_text("utf-8")))


def read_size(name: str) -> Size:
    """sizes/NAME.tfvars.json."""
    path = AKS / "sizes" / f"{name}.tfvars.json"
    return Size.model_validate(json.loads(path.read_text("utf-8")))


def month(size: Size, use: Use, prices: Prices) -> dict[str, float]:
    """Costs of a month by what they are for, in the prices' currency.

    Raises:
        KeyError: prices.yaml has no price for a size.
    """
    system, cpu, gpu = pools = [
        (size.system_pool, size.system_pool.min * prices.hours),
        (size.cpu_pool, size.cpu_pool.min * prices.hours + use.cpu_hours),
        (size.gpu_pool, size.gpu_pool.min * prices.hours + use.gpu_hours),
    ]
    defended = sum(prices.vcpus[pool.size] * hours for pool, hours in pools)
    redis_hours = prices.hours * (2 if size.redis.high_availability else 1)
    return {
        "system nodes": _nodes(*system, prices),
        "CPU nodes": _nodes(*cpu, prices),
        "GPU nodes": _nodes(*gpu, prices),
        "control plane": prices.control_plane,
        "Redis": prices.redis[size.redis.sku] * redis_hours,
        "registry and models": prices.registry + prices.models,
        "network": prices.load_balancer + PRIVATE_ENDPOINTS * prices.private_endpoint,
        "logs, metrics, Grafana": DAYS
        * (use.logs_gb * prices.log_gb + use.samples_m / 10 * prices.samples_10m)
        + prices.grafana,
        "Defender": defended * prices.defender_vcpu_hour,
    }


def _nodes(pool: Pool, hours: float, prices: Prices) -> float:
    """Nodes and their disks."""
    node = prices.nodes[pool.size] * (prices.spot if pool.spot else 1)
    return hours * (node + prices.disks[pool.disk_gb] / prices.hours)


def table(prices: Prices) -> str:
    """Markdown: one line for each kind of cost, one column for each size."""
    months = {name: month(read_size(name), use, prices) for name, use in prices.use.items()}
    kinds = next(iter(months.values()))
    rows = [[kind, *(f"{costs[kind]:,.0f}" for costs in months.values())] for kind in kinds]
    total = [f"**{sum(costs.values()):,.0f}**" for costs in months.values()]
    lines = [
        [f"{prices.currency} a month ({prices.region})", *months],
        ["---", *("---:" for _ in months)],
        *rows,
        ["**together**", *total],
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Print the table, and what it rests on."""
    prices = read_prices()
    note = "" if prices.checked else " NOT CHECKED: compare them with Azure's before you use them."
    sys.stdout.write(f"{table(prices)}\n\nPrices of {prices.date}: {prices.source}.{note}\n")


if __name__ == "__main__":
    main()
