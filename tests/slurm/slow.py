"""A hook by which a training waits at each step, so that there is time to disturb it; the reference does not wait."""
import os
import time

from mmengine.hooks import Hook

from openmix.registry import HOOKS


@HOOKS.register_module()
class WaitHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        time.sleep(float(os.environ.get("SECONDS_PER_STEP", 0)))
