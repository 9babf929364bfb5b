"""Evaluate a checkpoint: openmix test cifar100/r18_mixup work_dirs/cifar100/r18_mixup/seed0/epoch_200.pth"""
from ..arguments import Parser
from .train import run, test_parser


def make_parser(prog: str | None = None) -> Parser:
    return test_parser(Parser(prog=prog, description=__doc__))


def main(args) -> int:
    return run("test", args)
