"""Numbers of a config that are beyond the end of the run, so that they have no effect."""
from ..optim.schedules import as_list


def beyond_the_run(cfg, epochs: int, steps: int, hooks=()) -> list[str]:
    """One line for each such number.

    Args:
        cfg: the run's config. epochs, steps: the run's epochs, and the batches of one.
        hooks: those that average weights have ``due(iteration)``.
    """
    lines = [line for i, schedule in enumerate(as_list(cfg.get("param_scheduler")))
             for line in _of_schedule(f"param_scheduler[{i}]", schedule, epochs, epochs * steps)]
    interval, saved = cfg.train_cfg.get("val_interval", 1), _save_interval(cfg)
    if cfg.get("val_dataloader") is not None and interval > epochs:
        lines.append(f"train_cfg.val_interval={interval}: only the last of {epochs} epochs is evaluated")
    if saved > epochs:
        lines.append(f"default_hooks.checkpoint.interval={saved}: only the last of {epochs} epochs is saved")
    window = cfg.optim_wrapper.get("accumulative_counts", 1)
    if window > steps:
        lines.append(f"optim_wrapper.accumulative_counts={window}: an update averages over the {steps} batches of an "
                     "epoch")
    for hook in hooks:
        if hasattr(hook, "due") and not any(hook.due(iteration) for iteration in range(epochs * steps)):
            lines.append(f"{type(hook).__name__}: none of {epochs * steps} iterations is due, so its average stays the "
                         "network as it was at the start")
    return lines


def _save_interval(cfg) -> int:
    return ((cfg.get("default_hooks") or {}).get("checkpoint") or {}).get("interval", 1)


def _of_schedule(where: str, schedule: dict, epochs: int, iterations: int) -> list[str]:
    """What of one schedule does not come to pass; its numbers count from its ``begin``."""
    counts_epochs = schedule.get("by_epoch", True)
    run, unit = (epochs, "epochs") if counts_epochs else (iterations, "iterations")
    begin, end = schedule.get("begin", 0), schedule.get("end") or run
    span = min(end, run) - begin
    lines = [f"{where}.end={end} is beyond the run of {run} {unit}, so the schedule is cut off"] if end > run else []
    late = [m for m in schedule.get("milestones") or () if m >= span]
    if late:
        lines.append(f"{where}.milestones: {', '.join(map(str, late))} of {span} {unit} never come")
    for key, least, effect in (("step_size", span, "the learning rate never steps"),
                               ("T_max", span + 1, "the cosine does not reach its floor"),
                               ("total_steps", span + 1, "the cycle does not come to its end")):
        if (schedule.get(key) or 0) >= least:
            lines.append(f"{where}.{key}={schedule[key]} of {span} {unit}: {effect}")
    return lines
