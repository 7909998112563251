"""What a network's weights are, as one number: the part of an encoder's identity that a name cannot give."""

import hashlib

import torch


def state_sha256(network: torch.nn.Module) -> str:
    """Hexadecimal SHA-256 over the tensors of a network: names, types, shapes and bytes, in order of name.

    The same weights give the same digest whichever file format they came from.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        value = tensor.detach().contiguous().cpu()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
