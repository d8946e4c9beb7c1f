"""How fast a device trains: as measured on it, or assumed for a device that is known by name.

A calibration (see `calibrate`) is kept in the user's cache folder, one file per device, and holds
for every preset. Without one, a network is assumed to reach a share of the device's peak.
"""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from workflow.base.errors import ConfigError, UsageError
from workflow.base.files import cache_folder, read_json, write_json
from workflow.config.errors import unknown

# Name -> (TFLOP/s of tensor cores in bf16, or fp16 on V100 and T4, which have no bf16; without
# sparsity, sums in float32; memory in GB). From NVIDIA's data sheets of these products; of RTX 3090
# and 4090 from the appendices of the white papers on the GA102 and Ada architectures.
KNOWN = {
    "B200": (2250.0, 180.0),
    "H200": (989.0, 141.0),
    "H100": (989.0, 80.0),
    "H100-PCIe": (756.0, 80.0),
    "A100-80": (312.0, 80.0),
    "A100": (312.0, 40.0),
    "L40S": (362.0, 48.0),
    "L4": (121.0, 24.0),
    "A40": (150.0, 48.0),
    "A6000": (155.0, 48.0),
    "A10": (125.0, 24.0),
    "RTX4090": (165.0, 24.0),
    "RTX3090": (71.0, 24.0),
    "V100": (125.0, 32.0),
    "T4": (65.0, 16.0),
}
ASSUMED_DEVICE = "A100"
# What share of its peak a device reaches in training such networks is unknown until it is
# measured: small maps, normalisations and depthwise convolutions are bound by memory.
ASSUMED_SHARE = 0.15
SHARE_RANGE = (0.05, 0.35)


@dataclass(frozen=True)
class Device:
    """A device that a plan is for.

    Attributes:
        name: the device's name as the system or the table has it.
        peak: FLOP/s of large matrix products, as measured or as the vendor says.
        memory: bytes; of the whole machine if it is a CPU.
        measured: the date of its calibration; empty for one out of the table.
        gpu: or a processor.
        precision: the precision of the calibration.
        rates: method -> FLOP/s reached in training, forward pass counted three times.
        evaluating: the same of forward passes alone.
        memory_factors: method -> peak memory measured over what is reckoned; of a GPU only.
    """

    name: str
    peak: float
    memory: float
    measured: str = ""
    gpu: bool = True
    precision: str = "bfloat16"
    rates: dict[str, float] = field(default_factory=dict)
    evaluating: dict[str, float] = field(default_factory=dict)
    memory_factors: dict[str, float] = field(default_factory=dict)

    def rate(self, method: str) -> float:
        """FLOP/s in training a method: its own, or what those that were measured reach."""
        return self.rates.get(method) or self.peak * _median_share(self.rates, self.peak)

    def evaluation_rate(self, method: str) -> float:
        """FLOP/s of forward passes."""
        return self.evaluating.get(method) or self.rate(method)


def _median_share(rates: dict[str, float], peak: float) -> float:
    shares = sorted(rate / peak for rate in rates.values())
    return shares[len(shares) // 2] if shares else ASSUMED_SHARE


def known_device(name: str) -> Device:
    """A device of the table; upper and lower case, spaces and hyphens do not matter.

    Raises:
        UsageError: there is none of this name.
    """
    for known, (teraflops, gigabytes) in KNOWN.items():
        if _plain(known) == _plain(name):
            return Device(known, teraflops * 1e12, gigabytes * 1e9)
    raise UsageError(
        f"--device: {unknown(name, KNOWN)}. For any other, run "
        "`uv run resformer plan --calibrate` on it"
    )


def folder() -> Path:
    """Where calibrations are kept."""
    return cache_folder() / "calibrations"


def save(device: Device) -> Path:
    """Keep a calibration; returns its file."""
    file = folder() / f"{_plain(device.name)}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, asdict(device))
    return file


def calibrations() -> list[Device]:
    """The devices that have been calibrated, the latest first.

    Raises:
        ConfigError: a file is not a calibration of this version.
    """
    found = [_read(file) for file in folder().glob("*.json")]
    return sorted(found, key=lambda device: device.measured, reverse=True)


def _read(file: Path) -> Device:
    try:
        return Device(**read_json(file))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{file}: not a calibration that this version reads ({error}); delete it and run "
            "`uv run resformer plan --calibrate` again"
        ) from error


def choose(name: str | None) -> Device:
    """The device of this name, calibrated if it has been; without a name the latest calibrated.

    Raises:
        ConfigError: it is neither calibrated nor known.
    """
    measured = calibrations()
    if name is None:
        return measured[0] if measured else known_device(ASSUMED_DEVICE)
    same = [device for device in measured if _plain(device.name) == _plain(name)]
    return same[0] if same else known_device(name)


def _plain(name: str) -> str:
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return letters.removeprefix("nvidia").removesuffix("gb")
