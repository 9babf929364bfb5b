#!/usr/bin/env bash
# bash tools/dist_test.sh CONFIG GPUS CHECKPOINT [arguments of tools/test.py]
exec bash "$(dirname "$0")/launch.sh" test.py "$@"
