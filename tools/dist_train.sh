#!/usr/bin/env bash
# bash tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Several nodes: NNODES, NODE_RANK, MASTER_ADDR and PORT (the same line on each). Without a GPU it runs GPUS processes
# on the CPU.
exec bash "$(dirname "$0")/launch.sh" train.py "$@"
