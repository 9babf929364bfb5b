"""Pictures of mixes, and tables of methods."""
from .mixes import mix_grid, save_mix_picture

__all__ = ["mix_grid", "save_mix_picture"]
