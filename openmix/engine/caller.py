"""What a run changes in the process that started it, and puts back: notebooks and searches train many times in one."""
import contextlib
import gc
import random

import numpy as np
import torch


@contextlib.contextmanager
def as_before():
    """Put back random states, threads and the choice of kernels when the block ends. Also a decorator."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        for put_back, state in zip((random.setstate, np.random.set_state, torch.set_rng_state), states, strict=True):
            put_back(state)
        if on_gpu:
            torch.cuda.set_rng_state_all(on_gpu)
        elif torch.cuda.is_initialized():  # by the run: a seed of the caller's was still to be set
            torch.cuda.manual_seed_all(torch.initial_seed())
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        if torch.cuda.is_initialized():
            gc.collect()  # a run consists of cycles: its network would keep its memory for a while
