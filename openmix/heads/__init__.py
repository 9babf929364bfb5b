"""What turns features into logits."""
from .linear import LinearHead

__all__ = ["LinearHead"]
