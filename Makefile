# All you need is make and a Python 3.11 or newer; `make help` lists what there is.

VENV  := .venv
STAMP := $(VENV)/.installed
BENCH := $(VENV)-bench-drift
INTEROP := $(VENV)-interop
MLSERVER := $(VENV)-interop-mlserver
PEERS := bentoml fastapi litserve mlserver ray
ARGS  :=

.DEFAULT_GOAL := help
.PHONY: help setup up test long interop e2e chaos reliability load report bench bench-guard bench-peers bench-drift bench-models format lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  ARGS="..." goes on to the command behind up, test, long and interop (pytest), chaos, load, report and the bench-*.'

setup: $(STAMP) ## A .venv with driftline and all that the other targets need
	@:

# The stamp is older than what it depends on: something to install has changed.
$(STAMP): pyproject.toml requirements/dev.txt requirements/uv.txt scripts/setup.sh
	@sh scripts/setup.sh
	@touch $@

up: $(STAMP) ## Start Driftline here: API, log worker and monitor, with windows of 10 s; Ctrl-C stops it
	@$(VENV)/bin/driftline up --window-s 10 $(ARGS)

test: $(STAMP) ## Every check: format, lint, types, import order, tests against a real Redis
	@sh scripts/tools.sh
	@$(VENV)/bin/python scripts/check.py $(ARGS)

long: $(STAMP) ## The tests that take many seconds each: all pages in a browser, whole reports, load, backtests; two minutes
	@sh scripts/tools.sh
	@$(VENV)/bin/python scripts/check.py -n 4 -m long $(ARGS)

interop: $(INTEROP)/.installed $(MLSERVER)/.installed ## Clients of MLflow, KServe and MLServer against this server, and MLflow's own beside it; three minutes
	@MLSERVER=$(MLSERVER)/bin/mlserver PYTHONPATH=src $(INTEROP)/bin/python -m pytest -p no:cacheprovider tests/interop $(ARGS)

# Driftline with its runtimes, MLflow and KServe; and MLServer apart, which takes an older FastAPI.
$(INTEROP)/.installed: requirements/interop.txt | $(STAMP)
	@$(VENV)/bin/python -m venv --clear $(INTEROP)
	@$(VENV)/bin/uv pip sync --quiet --python $(INTEROP)/bin/python --require-hashes requirements/interop.txt || \
		$(INTEROP)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/interop.txt
	@touch $@

$(MLSERVER)/.installed: requirements/interop-mlserver.txt | $(STAMP)
	@$(VENV)/bin/python -m venv --clear $(MLSERVER)
	@$(VENV)/bin/uv pip sync --quiet --python $(MLSERVER)/bin/python --require-hashes requirements/interop-mlserver.txt || \
		$(MLSERVER)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/interop-mlserver.txt
	@touch $@

e2e: $(STAMP) ## The deployment, for real: a clean machine, the playbook, faults, an upgrade; wants root on Debian, 15 minutes
	@$(VENV)/bin/python -m deploy.e2e

chaos: $(STAMP) ## Is the promise kept, whatever dies? Two minutes of faults without a broker, two with a Redis
	@$(VENV)/bin/driftline chaos $(ARGS)

reliability: $(STAMP) ## The same, and what came of it goes into docs/reliability.md; ARGS="--minutes 60" for an hour each
	@$(VENV)/bin/python scripts/reliability.py $(ARGS)

load: $(STAMP) ## Twenty seconds of load on the Driftline that `make up` started
	@$(VENV)/bin/python loadtest/run.py $(ARGS)

report: $(STAMP) ## The drift report of what is in the log, in a browser
	@$(VENV)/bin/driftline report --open $(ARGS)

# Parts of it ask for what they lack themselves; an environment that cannot be made does not keep the others from it.
bench: $(STAMP) ## What serving a prediction costs, against other stacks, into docs/benchmarks.md; half an hour, ARGS=--short two minutes
	@$(if $(filter --only --render,$(ARGS)),:,sh scripts/tools.sh redis-server wrk $(if $(filter --short,$(ARGS)),,nginx))
	@$(if $(filter --short --render,$(ARGS))$(if $(filter --only,$(ARGS)),$(if $(filter stacks,$(ARGS)),,no)),:,\
		$(MAKE) --no-print-directory --keep-going bench-peers || echo "bench: what is not installed is not measured" >&2)
	@PYTHONPATH=benchmarks OMP_NUM_THREADS=1 $(VENV)/bin/python -m bench_serve $(ARGS)

bench-guard: $(STAMP) ## Fails if a prediction takes 1.4 times the CPU time of a constant reply, or more; 40 seconds
	@sh scripts/tools.sh wrk
	@PYTHONPATH=benchmarks OMP_NUM_THREADS=1 $(VENV)/bin/python -m bench_serve --guard

bench-drift: $(BENCH)/.installed ## Drift detectors against each other, into docs/benchmarks-drift.md; ten minutes, ARGS=--short two
	@PYTHONPATH=src:benchmarks OMP_NUM_THREADS=1 $(BENCH)/bin/python -m bench_drift $(ARGS)

bench-models: $(STAMP) ## What serving costs beside the model, into docs/benchmarks-models.md; three minutes, ARGS=--short one
	@PATH="$(VENV)/bin:$$PATH" PYTHONPATH=benchmarks OMP_NUM_THREADS=1 $(VENV)/bin/python -m bench_models $(ARGS)

# River is installed; of NannyML only the files are wanted, so nothing that it depends on.
$(BENCH)/.installed: requirements/bench-drift.txt requirements/bench-drift-tables.txt | $(STAMP)
	@$(VENV)/bin/python -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --no-deps --require-hashes $(patsubst %,-r %,$^)
	@touch $@

bench-peers: $(PEERS:%=$(VENV)-bench-%/.installed) ## The environments of the stacks that make bench measures Driftline against; a gigabyte
	@:

$(PEERS:%=$(VENV)-bench-%/.installed): $(VENV)-bench-%/.installed: requirements/bench-%.txt | $(STAMP)
	@echo "bench: installing $*"
	@$(VENV)/bin/python -m venv --clear $(@D)
	@$(VENV)/bin/uv pip sync --quiet --python $(@D)/bin/python --require-hashes $< || \
		$(@D)/bin/python -m pip install --quiet --no-deps --require-hashes -r $<
	@touch $@

format: $(STAMP) ## Let ruff format the code and mend what it can
	@$(VENV)/bin/ruff format --quiet
	@$(VENV)/bin/ruff check --fix

lock: $(STAMP) ## Write the lock files anew from pyproject.toml; ARGS=--upgrade for newer versions
	@sh scripts/lock.sh $(ARGS)

clean: ## Remove the environments and caches; data/ stays
	@rm -rf $(VENV) $(VENV)-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
