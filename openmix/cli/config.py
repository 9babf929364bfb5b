"""A config as a run would read it: openmix config configs/cifar100/r18_mixup.py"""
from ..arguments import Parser
from .train import common_arguments


def make_parser(prog: str | None = None) -> Parser:
    return common_arguments(Parser(prog=prog, description=__doc__))


def main(args) -> int:
    from ..engine.config.command_line import configure
    from ..engine.config.plain import config_text
    from ..workdir import config_hash

    cfg = configure(args)
    print(config_text(cfg).rstrip())
    print(f"# config hash {config_hash(cfg)}")
    return 0
