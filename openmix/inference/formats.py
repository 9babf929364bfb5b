"""Files that hold one network: of torch, safetensors, or ONNX. Each format is a function to the bytes of a file."""
import copy
import io
import json

import torch
from torch import Tensor, nn

from ..datasets.augment import per_channel
from ..engine import checkpoint

OPSET = 18  # of ONNX: the one that torch's exporter writes without a conversion


def torch_file(net: nn.Module, meta: dict) -> bytes:
    """``state_dict`` and ``meta``, to be read with ``weights_only=True``."""
    buffer = io.BytesIO()
    torch.save(checkpoint.plain(dict(meta=meta, state_dict=net.state_dict())), buffer)
    return buffer.getvalue()


def safetensors_file(net: nn.Module, meta: dict) -> bytes:
    """The tensors of the state dict; the metadata has ``meta`` as JSON under ``openmix``.

    Raises:
        ImportError: the package safetensors is not installed.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise ImportError('this format needs the package safetensors: pip install safetensors') from error
    weights = {name: tensor.detach().clone().contiguous() for name, tensor in net.state_dict().items()}
    return save(weights, dict(openmix=json.dumps(meta, sort_keys=True)))


def onnx_file(net: nn.Module, meta: dict) -> bytes:
    """The network with its normalisation: ``images`` (N, C, H, W), float32 in [0, 1], to ``logits`` (N, classes).

    N is free, C, H and W are those of training. The metadata has ``meta`` as JSON under ``openmix``.

    Raises:
        ImportError: the packages of the extra ``onnx`` are not installed.
        ValueError: the size or the statistics of the training images are unknown.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError as error:
        raise ImportError('this format needs the packages onnx and onnxscript: pip install onnx onnxscript') from error
    data = meta["data"]
    missing = [key for key in ("mean", "std", "size") if data.get(key) is None]
    if missing:
        raise ValueError(f"the file of the run does not tell {' and '.join(missing)} of its training images, which an "
                         "ONNX network needs; publish it as pth or safetensors")
    shape = (2, torch.as_tensor(data["mean"]).numel(), *data["size"])
    program = torch.onnx.export(
        Normalised(net, data["mean"], data["std"], (shape[1], *[1] * len(data["size"]))).eval(),
        (torch.zeros(shape),), dynamo=True, input_names=["images"], output_names=["logits"], opset_version=OPSET,
        dynamic_shapes=({0: torch.export.Dim("N")},), verbose=False)
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(openmix=json.dumps(meta, sort_keys=True)))
    for part in (model.graph, *model.graph.node):  # names of files and lines of the exporter: the same file each time
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


class Normalised(nn.Module):
    """``net`` of images in [0, 1], which it normalises; ``net`` itself is copied and left as it is."""

    def __init__(self, net: nn.Module, mean, std, shape: tuple):
        super().__init__()
        self.net = copy.deepcopy(net).float()
        self.register_buffer("mean", per_channel(mean, "mean", "cpu", shape))
        self.register_buffer("std", per_channel(std, "std", "cpu", shape))

    def forward(self, images: Tensor) -> Tensor:
        return self.net((images - self.mean) / self.std)


FORMATS = dict(pth=torch_file, safetensors=safetensors_file, onnx=onnx_file)
