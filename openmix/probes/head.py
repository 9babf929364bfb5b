"""Another classifier on the same features."""
from torch import Tensor, nn
from torch.func import functional_call

from .layers import unwrap


def with_head(net: nn.Module, head: nn.Module, name: str, images: Tensor) -> Tensor:
    """``net(images)`` with the parameters and buffers of ``head`` in place of those of the layer ``name`` (full name).

    The net's own classifier takes no part: it gets no gradient.
    """
    name = f"{unwrap(net)[0]}{name}"
    tensors = [*head.named_parameters(), *head.named_buffers()]
    return functional_call(net, {f"{name}.{key}": value for key, value in tensors}, (images,))


def both_heads(net: nn.Module, head: nn.Module, name: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """``net(images)`` and :func:`with_head` of the same images, in one pass where the layer ``name`` makes the logits.

    Where the net does something with what that layer puts out, or the layer runs in a compiled part that hooks do not
    reach, the second takes a pass of its own. Equal to the two networks bit by bit.
    """
    made, net = [], unwrap(net)[1]
    layer = net.get_submodule(name)
    handle = layer.register_forward_hook(lambda module, args, output: made.append((output, head(*args))))
    try:
        logits = net(images)
    finally:
        handle.remove()
    if len(made) == 1 and made[0][0] is logits:
        return made[0]
    return logits, with_head(net, head, name, images)


class WithHead(nn.Module):
    """A network whose classifier ``name`` is replaced by ``head``, sharing every parameter with its parts.

    Its ``state_dict`` is that of a plain network of the same kind, with the head's tensors: ready to publish.
    """

    def __init__(self, net: nn.Module, head: nn.Module, name: str):
        super().__init__()
        self.net, self.head, self.name = net, head, name
        self.training = net.training

    def forward(self, images: Tensor) -> Tensor:
        return with_head(self.net, self.head, self.name, images)

    def state_dict(self, *args, prefix="", **kwargs):
        whole = unwrap(self.net)[1].state_dict(*args, prefix=prefix, **kwargs)
        whole.update(self.head.state_dict(prefix=f"{prefix}{self.name}."))
        return whole
