"""How a run starts from the weights of its pretraining."""

from pathlib import Path
from typing import Any

from torch import nn

from workflow.base.digests import read_recorded_json
from workflow.base.errors import DataError
from workflow.base.files import sha256
from workflow.networks.tensors import read_tensors


def load_pretraining(model: nn.Module, file: Path) -> dict[str, Any]:
    """Copy a pretraining's weights into a network; what has no counterpart stays as it is.

    Args:
        model: the network of the second stage.
        file: weights of the first; policy.json is beside it.

    Returns:
        What run.json says of the initial weights: the file, its hash, how many of the network's
        tensors start from it, the names of those that do not, and the masking policy.

    Raises:
        DataError: the file is not the one that policy.json speaks of, or does not fit the network.
    """
    record = read_recorded_json(file.with_name("policy.json"))
    found = sha256(file)
    if found != record["weights_sha256"]:
        raise DataError(
            f"{file}: its SHA-256 is {found}, and policy.json beside it says "
            f"{record['weights_sha256']}; delete the folder, and it will be made again"
        )
    tensors, state = read_tensors(file), model.state_dict()
    strange = [k for k, v in tensors.items() if k not in state or state[k].shape != v.shape]
    if strange:
        raise DataError(
            f"{file}: {len(strange)} of its tensors do not fit the network, {strange[0]} first; "
            "delete the folder, and it will be made again"
        )
    model.load_state_dict(tensors, strict=False)
    return {
        "kind": "pretraining",
        "source": str(file),
        "sha256": found,
        "matched": len(tensors),
        "tensors": len(state),
        "left_random": [name for name in state if name not in tensors],
        "policy": record["policy"],
    }
