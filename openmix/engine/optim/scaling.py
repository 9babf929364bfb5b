"""Learning rates for another batch than the config was made for."""


def scale_lr(cfg) -> None:
    """Linear scaling where ``auto_scale_lr.enable`` asks for it: learning rates times total_batch / base_batch_size.

    Nothing happens where they agree, and never twice: ``auto_scale_lr.scaled_to`` remembers the batch of the new ones.

    Raises:
        ValueError: the config does not name the batch of its learning rate.
    """
    scale = cfg.get("auto_scale_lr") or {}
    if not scale.pop("enable", False):
        return
    total = cfg.train_dataloader.get("total_batch", 100)
    if "base_batch_size" not in scale:
        raise ValueError("--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config: the batch that "
                         "its learning rate was made for")
    factor = total / scale.get("scaled_to", scale["base_batch_size"])
    schedule = cfg.get("param_scheduler") or []
    schedules = schedule if isinstance(schedule, (list, tuple)) else [schedule]
    for place, keys in ((cfg.optim_wrapper.optimizer, ("lr",)), *((s, ("eta_min", "eta_max")) for s in schedules)):
        for key in keys:
            if factor != 1 and place.get(key) is not None:
                place[key] *= factor
    if factor != 1:
        scale["scaled_to"] = total
