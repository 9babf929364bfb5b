"""Packaging metadata; tool settings live in pyproject.toml."""
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = {}
exec((here / "openmix" / "version.py").read_text(), version)

extras = dict(
    timm=["timm>=1.0"],
    safetensors=["safetensors>=0.4"],
    onnx=["onnx>=1.17", "onnxscript>=0.3"],
    tensorboard=["tensorboard>=2.16"],
    wandb=["wandb>=0.17"],
    slurm=["submitit>=1.5"],
    report=["bokeh>=3.4", "scipy>=1.11"],
    show=["matplotlib>=3.8"],
    docs=["sphinx>=8.1", "furo>=2024.8.6", "myst-parser>=4.0", "matplotlib>=3.8", "timm>=1.0"],
    bench=["timm>=1.0", "kornia>=0.8", "scipy>=1.11"],
    dev=["pytest>=8", "pytest-xdist>=3.5", "ruff>=0.17,<0.18", "import-linter>=2.1", "scipy>=1.11", "timm>=1.0", "tensorboard>=2.16",
         "setuptools>=70.1", "bokeh>=3.4", "submitit>=1.5", "safetensors>=0.4",
         "matplotlib>=3.8", "torchmetrics>=1.4"],
)
whole = ("timm", "safetensors", "onnx", "tensorboard", "wandb", "slurm", "report", "show")
extras["all"] = sorted({requirement for name in whole for requirement in extras[name]})

setup(
    name="openmix",
    version=version["__version__"],
    description="Mixup benchmarks that are right, fast and easy to extend",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    # configs/ travels in the wheel as openmix/configs, so that list_configs() works after pip install
    packages=[*find_packages(include=["openmix", "openmix.*"]), "openmix.configs"],
    package_dir={"openmix.configs": "configs"},
    package_data={"openmix": ["py.typed", "results/*.json", "report/*.html"],
                  "openmix.configs": ["**/*.py", "*.py"]},
    exclude_package_data={"openmix.configs": ["sweeps/*"]},  # what `openmix sweep` wrote into a checkout
    entry_points={"console_scripts": ["openmix = openmix.cli:script"]},
    install_requires=[
        "torch>=2.6",
        "torchvision>=0.21",
        "mmengine>=0.10.7,<0.11",
        "numpy>=1.26",
        "prettytable>=3.12",
    ],
    extras_require=extras,
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
