"""Pictures of mixes."""
from .mixes import mix_grid, save_mix_picture

__all__ = ["mix_grid", "save_mix_picture"]
