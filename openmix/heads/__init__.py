"""What turns features into logits."""
from .identity import IdentityHead
from .linear import LinearHead

__all__ = ["IdentityHead", "LinearHead"]
