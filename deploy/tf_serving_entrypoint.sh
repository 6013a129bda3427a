#!/usr/bin/env bash
# TensorFlow Serving's container contract: MODEL_NAME and MODEL_BASE_PATH say what to serve, on 8500 (gRPC) and 8501
# (REST). What follows the image's name is added; of a flag given twice the last counts, so it overrides these.
set -euo pipefail

model_name="${MODEL_NAME:-model}"

# exec: SIGTERM must reach the server, which then finishes what is in flight.
exec tensorflow_model_server \
  --port=8500 \
  --rest_api_port=8501 \
  --model_name="${model_name}" \
  --model_base_path="${MODEL_BASE_PATH:-/models}/${model_name}" \
  "$@"
