"""Looking into a network and acting inside it. Works with any ``nn.Module``; layers go by name."""
from .gradients import clean_pass, input_gradient
from .head import WithHead, both_heads, with_head
from .hooks import HookPoint, Listener, acted_layer, acting, hook_point, listener, listening, plant, watch, watch_input
from .layers import (
    as_map,
    channels_last,
    find_classifier,
    find_layer,
    last_map,
    layer_channels,
    layer_shape,
    outputs_of_layers,
    token_grid,
    unwrap,
)
from .modes import evaluating, keeping_buffers, on_copies

__all__ = [
    "acted_layer", "acting", "as_map", "both_heads", "channels_last", "clean_pass", "evaluating", "find_classifier",
    "find_layer", "hook_point", "input_gradient", "keeping_buffers", "last_map", "layer_channels", "layer_shape",
    "listener", "listening", "on_copies", "outputs_of_layers", "plant", "token_grid", "unwrap", "watch", "watch_input",
    "with_head", "HookPoint", "Listener", "WithHead",
]
