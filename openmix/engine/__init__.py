"""What differs from mmengine: the step, the loops, hooks, checkpoints, work dirs, the command line."""
from .. import registry  # noqa: F401  first of all: it imports mmengine, and again if processes collide in that
