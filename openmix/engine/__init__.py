"""What differs from mmengine: the step, the loops, hooks, checkpoints, work dirs, the command line."""
