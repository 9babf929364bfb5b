"""BatchNorm over the global batch. torch's SyncBatchNorm runs on GPUs only; this one serves gloo on CPUs."""
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class AllSum(torch.autograd.Function):
    """The sum of a tensor over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx, x):
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, grad):
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad


class CPUSyncBatchNorm(_BatchNorm):
    """Statistics summed over all processes with a differentiable all-reduce."""

    def _check_input_dim(self, images):
        if images.ndim < 2:
            raise ValueError(f"expected at least (N, C), got shape {tuple(images.shape)}")

    def forward(self, images):
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(images)
        dims = [d for d in range(images.ndim) if d != 1]
        x = images.double()  # E[x^2] - E[x]^2 needs the digits
        count = x.new_tensor([images.numel() / images.shape[1]])
        total = AllSum.apply(torch.cat([x.sum(dims), x.square().sum(dims), count]))
        n = total[-1].detach()
        mean, square = (total[:-1] / n).chunk(2)
        var = (square - mean.square()).clamp(min=0)
        with torch.no_grad():
            self.num_batches_tracked += 1
            momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
            self.running_var.lerp_((var * n / (n - 1)).to(self.running_var.dtype), momentum)
        shape = [1, -1] + [1] * (images.ndim - 2)
        normed = ((x - mean.view(shape)) * (var + self.eps).rsqrt().view(shape)).to(images.dtype)
        return normed * self.weight.view(shape) + self.bias.view(shape) if self.affine else normed


def convert(module: nn.Module, device: torch.device) -> nn.Module:
    """Replace every BatchNorm of ``module`` by the synchronised one of the device; weights and names are kept."""
    if device.type != "cpu":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    if isinstance(module, _BatchNorm) and not isinstance(module, CPUSyncBatchNorm):
        synced = CPUSyncBatchNorm(module.num_features, module.eps, module.momentum, module.affine,
                                  module.track_running_stats)
        synced.load_state_dict(module.state_dict())
        return synced.train(module.training)
    for name, child in module.named_children():
        setattr(module, name, convert(child, device))
    return module
