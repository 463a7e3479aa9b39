# Everything a person types. PHOTOS and USER_ID may be set: make run PHOTOS=~/Pictures
PYTHON ?= python3.11
VENV ?= .venv
PHOTOS ?=
# The sample roll is nobody's, so that it is not counted among one's own photos.
USER_ID ?= $(if $(PHOTOS),me,sample)
STORE ?= sqlite:///piccl.db
REPORT ?= piccl-report.html
# Read by the recipes from the environment: names may contain quotes.
export PHOTOS USER_ID STORE REPORT

BIN := $(VENV)/bin
READY := $(VENV)/.ready
SAMPLE_ROLL := sample-roll

.PHONY: help run test check lint types format clean emulators demo-stream soak soak-load soak-rows baselines bench bench-quick

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

# Installed again only when a requirement changes.
$(READY): requirements.txt requirements-dev.txt setup.py
	@command -v $(PYTHON) >/dev/null || { echo "PICCL needs Python 3.11; name it with PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing into $(VENV), a minute or two the first time"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(READY) $(if $(PHOTOS),,$(SAMPLE_ROLL)) ## Analyse PHOTOS (or a sample roll) into piccl.db, and write a page of it
	@$(BIN)/piccl weights yolo-fastest-1.1-xl --tries=1 --timeout=5 || echo "Going on without tags."
	@$(BIN)/piccl backfill "$${PHOTOS:-$(SAMPLE_ROLL)}" --user "$$USER_ID" --store "$$STORE"
	@echo
	@$(BIN)/piccl report --user "$$USER_ID" --store "$$STORE" --out "$$REPORT"
	@echo "Open it in a browser to see what may be deleted, and why. Then decide, photo by photo:"
	@echo "  $(BIN)/piccl review --user '$$USER_ID' --store '$$STORE'"
	@echo "or move all of a reason into a trash, from which it comes back; it shows a plan and asks:"
	@echo "  $(BIN)/piccl cleanup --user '$$USER_ID' --store '$$STORE' --reason similar"
	@echo "or analyse your own photos:"
	@echo "  make run PHOTOS=~/Pictures"

# Renamed when it is whole, so an interrupted one is made again.
$(SAMPLE_ROLL): | $(READY)
	@$(BIN)/python -m pipeline.sample_roll $@.part
	@mv $@.part $@

test: $(READY) ## Run all tests
	@$(BIN)/python -m pytest

emulators: $(READY) ## Run Firestore, Pub/Sub and Cloud Storage on this machine
	@$(BIN)/python -m demo

demo-stream: $(READY) $(if $(PHOTOS),,$(SAMPLE_ROLL)) ## Upload PHOTOS to the emulators and watch documents appear
	@$(BIN)/piccl weights yolo-fastest-1.1-xl --tries=1 --timeout=5 || echo "Going on without tags."
	@$(BIN)/python -m demo.stream "$${PHOTOS:-$(SAMPLE_ROLL)}"

# 50 histories take half an hour or more: make soak HISTORIES=5
soak: $(READY) ## Kill real streams in 50 random histories
	@$(BIN)/python -m pytest -n0 -s -m soak tests/streams/test_soak.py -k history

soak-load: $(READY) ## 10,000 photos through one stream: memory, speed, latency
	@$(BIN)/python -m pytest -n0 -s -m soak tests/streams/test_soak.py -k load

soak-rows: $(READY) ## Find photos among a million rows: time to the first and to the last
	@$(BIN)/python -m pytest -n0 -s -m soak tests/store/test_million_rows.py

baselines: $(READY) .venv-baselines/.ready ## Install what piccl evaluate --baseline asks (0.9 GB), and try it
	@$(BIN)/python -m pytest -n0 -q -m soak tests/pipeline/test_baselines.py

.venv-baselines/.ready: requirements-baselines.txt
	@$(PYTHON) -m venv --clear .venv-baselines
	@.venv-baselines/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-baselines.txt
	@touch $@

# Whom it is compared with takes 3 GB, most of it of imagededup, which needs torch.
bench: $(READY) .venv-benchmarks/.ready ## Measure PICCL beside its peers and this machine's limits, 40 minutes
	@$(BIN)/python -m benchmarks $(if $(PHOTOS),--photos "$$PHOTOS")

bench-quick: $(READY) .venv-benchmarks/.ready ## The same of fewer photos
	@$(BIN)/python -m benchmarks --quick $(if $(PHOTOS),--photos "$$PHOTOS")

.venv-benchmarks/.ready: requirements-benchmarks.txt requirements-baselines.txt
	@echo "Installing whom to compare with into .venv-benchmarks, some minutes"
	@$(PYTHON) -m venv --clear .venv-benchmarks
	@.venv-benchmarks/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-benchmarks.txt
	@touch $@

lint: $(READY) ## Check format and style
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(READY) ## Check types
	@$(BIN)/mypy

check: lint types test ## All that CI runs

format: $(READY) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## Remove what was installed and made here
	rm -rf $(VENV) .venv-baselines .venv-benchmarks benchmarks-inputs benchmarks-results $(SAMPLE_ROLL) $(SAMPLE_ROLL).part build dist *.egg-info
