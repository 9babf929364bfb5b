"""Train a config: openmix train cifar100/r18_mixup"""
import argparse
import json
import os
import sys
import traceback
from pathlib import Path

from ..arguments import Parser, seed, typed_path
from ..errors import is_input_error, reading_input
from ..moved import renamed
from ..output import until_closed
from ..workdir.files import DISK

AMP = ("auto", "bf16", "fp16", "off")
LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
OK, FAILED, WRONG_INPUT, DIVERGED = 0, 1, 2, 3


def make_parser(prog: str | None = None) -> Parser:
    return train_parser(Parser(prog=prog, description=__doc__))


def main(args) -> int:
    return run("train", args)


def common_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("config", type=typed_path,
                        help="config file (.py or .json), or the name of a shipped one: cifar100/r18_mixup")
    parser.add_argument("--work-dir", "--work_dir", type=typed_path, help="default: work_dirs/<config path>/seed<k>")
    parser.add_argument("--amp", nargs="?", const="auto", choices=AMP, help="precision (default: the config's, auto)")
    parser.add_argument("--seed", type=seed, help="seed of weights, order, augmentation and mixing (default: 0)")
    parser.add_argument("--deterministic", action="store_true", help="only deterministic kernels")
    parser.add_argument("--cfg-options", nargs="+", action="extend", metavar="KEY=VALUE", default=[],
                        help="override config keys, e.g. model.mixup.alpha=0.2 train_cfg.max_epochs=400; may be "
                             "given again")
    parser.add_argument("--launcher", choices=LAUNCHERS, default="none", help="how processes were started")
    parser.add_argument("--local-rank", "--local_rank", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def add_gpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gpus", type=int, metavar="N",
                        help="start N processes, one a GPU (on the CPU where there is none); several nodes: the same "
                             "line on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment")


def train_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    common_arguments(parser)
    add_gpus(parser)
    parser.add_argument("--resume", "--auto_resume", nargs="?", const="auto", type=typed_path, metavar="CHECKPOINT",
                        help="continue from the newest valid checkpoint of the work dir, or from this one")
    parser.add_argument("--resume-from", "--resume_from", dest="resume", type=typed_path, metavar="CHECKPOINT",
                        help=argparse.SUPPRESS)
    parser.add_argument("--load-from", "--load_checkpoint", type=typed_path, metavar="CHECKPOINT",
                        help="start from these weights")
    parser.add_argument("--auto-scale-lr", action="store_true",
                        help="scale lr by total_batch / base_batch_size, if the batch was changed")
    parser.add_argument("--no-validate", action="store_true", help="do not evaluate during training")
    parser.add_argument("--dry-run", action="store_true",
                        help="2 iterations of training and evaluation, save, resume, test; leaves nothing behind")
    return parser


def test_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    common_arguments(parser)
    add_gpus(parser)
    parser.add_argument("checkpoint", type=typed_path, help="checkpoint file")
    parser.add_argument("--out", type=typed_path, help="write the values to this JSON file")
    parser.add_argument("--evals", nargs="+", metavar="NAME",
                        help="test, or names in the config's evals; default: all that the config has")
    parser.add_argument("--write", action="store_true",
                        help="put them into the result.json beside the checkpoint, of the finished run it belongs to")
    return parser


def run(action: str, args) -> int:
    """Do it and return the exit code: 0 done, 1 failed, 2 wrong input, 3 diverged, 128 + signal after a stop."""
    with until_closed():
        return _run(action, args)


def _run(action: str, args) -> int:
    try:
        if args.gpus is not None and args.launcher != "pytorch":  # which the processes started here are given
            return _start_processes(args)
        from .. import registry  # noqa: F401  before others: it imports mmengine, again if processes collide in that
        from ..engine.config.command_line import configure

        cfg = configure(args, values=False)  # the run builds what has them, at once
        if action == "train" and (code := _ended_for_good(cfg.work_dir)):
            return code
        return (_train if action == "train" else _test)(cfg, args)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except Exception as error:
        from ..engine.step.eager import Diverged
        from ..engine.train_loop import Stopped
        from ..workdir.lock import InUse

        if isinstance(error, Stopped):
            from ..engine.distributed.launch import leave_distributed

            leave_distributed()  # all processes stop together
            print(f"{error}; continue with --resume", file=sys.stderr)
            return 128 + error.signal
        if isinstance(error, Diverged):
            print(f"diverged: {error}", file=sys.stderr)
            return DIVERGED
        full_disk = getattr(error, "errno", None) in DISK
        if full_disk or is_input_error(error) or isinstance(error, InUse):
            if sys.flags.dev_mode:
                traceback.print_exc()
            print(f"error: {error}", file=sys.stderr)
            return FAILED if full_disk else WRONG_INPUT
        traceback.print_exc()
        return FAILED


def _start_processes(args) -> int:
    """The same command line in several processes; returns the exit status of the whole."""
    from ..engine.distributed.processes import start
    from ..paths import find_config

    with reading_input():
        if args.launcher != "none":
            raise ValueError(f"--gpus starts the processes itself; leave out --launcher {args.launcher}")
        find_config(args.config)  # an unknown name is one message, before anything starts
        return start(args.words, args.gpus)


def _ended_for_good(work_dir) -> int:
    """In a process that torchrun has restarted: the exit code of the start before, if another one cannot help.

    torchrun repeats whatever failed; a loss that diverged is not to be tried until it does not.
    """
    from ..workdir.status import read_status

    if not int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)):
        return OK
    ends = dict(invalid=WRONG_INPUT, diverged=DIVERGED, oom=FAILED)
    return ends.get(read_status(work_dir).get("state"), OK)


def _train(cfg, args) -> int:
    from .. import apis
    from ..engine.distributed.launch import leave_distributed

    if args.dry_run:
        values = apis.dry_run(cfg, checked=True)
        if int(os.environ.get("RANK", 0)) == 0:
            print(f"ok: trained, saved, resumed, tested {next(iter(values.values()))}")
        leave_distributed()
        return OK
    record = apis.train(cfg, checked=True)
    if record and int(os.environ.get("RANK", 0)) == 0:
        from ..results.one_run import show_result

        show_result(record)
        print(f"result: {Path(cfg.work_dir) / 'result.json'}")
    leave_distributed()
    return OK


def _test(cfg, args) -> int:
    from .. import apis
    from ..engine.distributed.launch import leave_distributed
    from ..results.one_run import in_words

    results = apis.evaluate(cfg, args.checkpoint, args.evals, args.write, checked=True)
    if int(os.environ.get("RANK", 0)) == 0:
        for evaluation, measured in results.items():
            data = measured["data"]
            head = "data" if evaluation == "test" else f"{evaluation}, data"
            print(f"{head}: {data['name']}, split {data['split']}, SHA-256 {data.get('sha256')}"
                  f"{', the official files' if data.get('official') else ''}")
            for name, values in measured["networks"].items():
                print(f"{name}: {in_words(values)}  {values.get('count')} images")
        if args.out:
            test = results.pop("test", None)
            content = {**test["networks"], "data": test["data"]} if test else {}
            Path(args.out).write_text(json.dumps({**content, **({"evals": results} if results else {})}, indent=1))
        if args.write:
            print(f"written: {Path(args.checkpoint).parent / 'result.json'}")
    leave_distributed()
    return OK


__getattr__ = renamed(__name__, parse_options="engine.config.options.parse_options",
                      show_result="results.one_run.show_result")
