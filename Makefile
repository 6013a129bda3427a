.DEFAULT_GOAL := help
.PHONY: help train data finetune evaluate compare serve predict bench test lint check lock clean

PYTHON  ?= python3
MODEL   = all_cnn_c
DATASET ?= fashion_mnist
IMAGE   =
NAME    =
DATA    =
URL     ?= http://localhost:8501

help:            ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/ -/'

train: .venv/ready data   ## Train MODEL on DATASET, export it under models/ as NAME
	$(if $(DATA),$(error train takes DATASET=..., finetune DATA=...))
	.venv/bin/python -m training.train --model "$(MODEL)" --dataset "$(DATASET)" $(if $(NAME),--name "$(NAME)")

data:            ## Install Debian's Fashion-MNIST where it is missing and may be installed
	@if [ "$(DATASET)" = fashion_mnist ] && [ ! -d /usr/share/datasets/fashion-mnist ] \
	  && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    echo apt-get install dataset-fashion-mnist; \
	    apt-get -qq update && apt-get -qq -y install dataset-fashion-mnist > /dev/null \
	    || echo "apt-get could not install it: Keras's own copy is used, or downloaded."; \
	fi

finetune: .venv/ready  ## Fine-tune a pretrained network on the folder DATA, export it as NAME
	.venv/bin/python -m training.fine_tune $(if $(DATA),--data "$(DATA)") $(if $(NAME),--name "$(NAME)")

evaluate: .venv/ready  ## Measure the newest version of NAME (or MODEL) on its test images
	.venv/bin/python -m training.evaluate "models/$(or $(NAME),$(MODEL))" \
	  $(if $(filter file,$(origin DATASET)),,--dataset "$(DATASET)")

compare: .venv/ready data  ## Train pooled and all-convolutional networks side by side: 2 to 3 hours
	.venv/bin/python -m training.compare --epochs 6

serve: .venv/ready     ## Serve every model under models/: gRPC on 8500, REST on 8501
	.venv/bin/python -m serving.server --models_root=models --port=8500 --rest_api_port=8501

predict: .venv/ready   ## Ask the server at URL, its model NAME, what IMAGE shows
	.venv/bin/python -m serving.client --url "$(URL)" --image "$(IMAGE)" $(if $(NAME),--model "$(NAME)")

bench: .venv/ready     ## The server against the engine it runs; needs nghttp2-client and an idle machine
	.venv/bin/python -m benchmarks.serving

test: .venv/ready      ## All tests; loopback only, no accelerator
	.venv/bin/python -m pytest -n 2

lint: .venv/ready      ## Formatting, lint and the types of serving/
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

check: lint test       ## What CI runs

lock:            ## Renew requirements.lock from pyproject.toml: every package in its newest version
	$(PYTHON) -m venv build/uv && build/uv/bin/pip install --quiet uv
	build/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --group dev pyproject.toml -o requirements.lock

clean:           ## Remove the environment and the caches; models/ and runs/ stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build *.egg-info

.venv/ready: pyproject.toml requirements.lock
	rm -rf .venv
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements.lock
	.venv/bin/python -m pip install --quiet --no-build-isolation --no-deps -e .
	touch $@
