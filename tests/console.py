"""The command line without a new process: what a user types, its exit code, and configs as JSON files."""
import argparse
import json

import torch

from openmix.cli import train as cli

PARSERS = dict(train=cli.train_parser, test=cli.test_parser)


def main(action: str, *arguments) -> int:
    """The exit code of ``tools/<action>.py`` with these arguments, run here."""
    torch.set_num_threads(1)
    parser = PARSERS[action](argparse.ArgumentParser())
    return cli.run(action, parser.parse_args([str(a) for a in arguments]))


def write(cfg, path):
    """``cfg`` as a JSON config file, without its work dir."""
    plain = cfg.to_dict() if hasattr(cfg, "to_dict") else cfg
    path.write_text(json.dumps({k: v for k, v in plain.items() if k != "work_dir"}))
    return path
