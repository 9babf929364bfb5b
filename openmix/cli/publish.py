"""One network of a run as a file to hand out: openmix publish work_dirs/cifar100/r18_mixup/seed0"""
from ..arguments import Parser, typed_path

FORMATS = ("pth", "safetensors", "onnx")


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("source", type=typed_path, help="work dir (its newest weights) or checkpoint of a run")
    parser.add_argument("--out-dir", type=typed_path, default="published", help="default: published/")
    parser.add_argument("--network", help="which of the run's networks (default: the one whose accuracy is the run's)")
    parser.add_argument("--name", help="beginning of the file's name (default: that of the config and the network)")
    parser.add_argument("--format", choices=FORMATS, default="pth",
                        help="of the file; onnx and safetensors need the extra of that name (default: pth)")
    return parser


def main(args) -> int:
    from ..inference.publish import publish

    print(publish(args.source, args.out_dir, args.network, args.name, args.format))
    return 0
