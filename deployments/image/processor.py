"""What this machine's processor is and can do, as Linux tells it."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})


def name() -> str:
    """The model's name; empty where the system does not say."""
    return _field("model name")


def multiplies_bfloat16() -> bool:
    """Whether it does so natively, by AVX512-BF16 or AMX."""
    return not BFLOAT16.isdisjoint(_field("flags").split())


def _field(wanted: str) -> str:
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for field, _, value in fields if field.strip() == wanted), "")
