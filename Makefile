# One command to build and one to test, the same on every machine and in CI. `make help` lists them all.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
PARALLEL := --numprocesses 2 --no-loadscope-reorder
SITE := book/_build/html
PRINTED := $(SITE)/downloads/cracking-99
COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --no-annotate --generate-hashes --quiet \
	--custom-compile-command 'make requirements'
PUBLISHED := building batches overfitting ideas crack best convolution
CHECKS := $(PUBLISHED:=-check)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help writable book pdf epub serve lab test check style mutants bench bench-lab bench-99 lighthouse test-long grid $(PUBLISHED) $(CHECKS) small-network format requirements update audit bill mark picture engine clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 22

# pip brings uv, and uv the rest, as wheels alone: nothing is compiled but to bytecode, as pip does it too. Both refuse
# what has not the hash that requirements.txt names. The helper package is a folder, which has none, and comes last.
.venv/installed: requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here. Install Python 3.11, 3.12 or 3.13, or name the one you have: make PYTHON=python3.12 book"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else f"This book needs Python 3.11, 3.12 or 3.13, and {sys.executable} is {sys.version.split()[0]}. Name another one: make PYTHON=python3.12 book")'
	@$(PYTHON) -m venv .venv || { echo "No virtual environment could be made in .venv. On Debian and Ubuntu: apt-get install python3-venv. Otherwise see whether this folder can be written to."; exit 1; }
	@echo "Installing 2.6 GB into .venv: half a minute where the network is fast."
	@{ sed -n '/^uv==/,/[^\\]$$/p' requirements.txt >.venv/uv.txt \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --only-binary :all: --compile-bytecode --require-hashes -r requirements.txt \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; } \
		|| { echo "The installation stopped, for the reason above. It needs PyPI (or a mirror, named in UV_DEFAULT_INDEX and PIP_INDEX_URL) and 3 GB of disk. Run make again when that is mended; what was fetched is kept. Or use pip alone: see the README."; exit 1; }
	@touch $@

writable:
	@mkdir -p book/_build 2>/dev/null && test -w book/_build \
		|| { echo "Nothing can be written below $(CURDIR), as building and testing do. Make room on the disk, or copy this folder to where you may write, and run make there."; exit 1; }

book: writable .venv/installed ## run every notebook and build the site (minutes the first time, seconds after that)
	@echo "Building the book. Chapters that changed are run, about a minute each."
	$(BIN)/jupyter-book build book -W --keep-going \
		|| { echo "The build stopped, for the reason above. Chapters that ran to their end are kept. When that is mended, on a full disk by making room, run make book again: it makes all pages anew."; exit 1; }
	@$(MAKE) --no-print-directory $(PRINTED).pdf $(PRINTED).epub
	@echo "The book is built: $(CURDIR)/$(SITE)/index.html"
	@echo "Read it with 'make serve'; opened as a file, its live panels stay pictures."

$(PRINTED).pdf $(PRINTED).epub: book/printed.py book/_config.yml \
		$(wildcard book/printed/* book/assets/*.svg book/assets/*/* $(SITE)/*.html $(SITE)/notebooks/*.html)
	$(BIN)/python book/printed.py $(subst .,,$(suffix $@)) $(SITE)

pdf: book ## say where the book as a PDF is, which is built with the site
	@echo "$(CURDIR)/$(PRINTED).pdf"

epub: book ## say where the book as an EPUB is, which is built with the site
	@echo "$(CURDIR)/$(PRINTED).epub"

serve: book ## serve the built site on localhost
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT))).close()' 2>/dev/null \
		|| { echo "Port $(PORT) is taken, or is none. Name another one: make serve PORT=8001"; exit 1; }
	@echo "Serving the book at http://localhost:$(PORT)/ (stop with Ctrl-C)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

lab: .venv/installed ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --ip=127.0.0.1 notebooks/01_data_structure.ipynb

test: style ## check everything: style, helpers, every notebook, and the site in a browser
	$(BIN)/python -m pytest $(PARALLEL)

check: style ## check style and helpers alone, without notebooks and browsers, for the rhythm of daily work
	$(BIN)/python -m pytest $(PARALLEL) -m "not browser and not slow" tests

# Each language replaces its own modules' rows of tests/mutants/scores.csv, which the book's page on its state shows.
mutants: book ## change the code in small ways, and count which changes the tests notice (some hours; interrupted, it goes on where it was)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group mutants
	$(BIN)/python tests/mutants/python.py
	$(BIN)/python tests/mutants/engine.py
	$(BIN)/python tests/mutants/javascript.py

style: writable .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos

bench: .venv/installed ## measure the speed, against PyTorch and JAX too, and write the page of results (25 minutes)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python tests/benchmarks/run.py

bench-lab: book ## measure the lab in the page, against Keras and libraries for browsers, and write its page (a quarter of an hour; npm)
	$(BIN)/python tests/benchmarks/lab.py

bench-99: .venv/installed ## measure the time to 99%, against Keras, PyTorch and a small CNN, and write its page (a quarter of an hour)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group bench
	$(BIN)/python tests/benchmarks/time_to_99.py

lighthouse: book ## measure each page of the site as on a phone, with Lighthouse, and print a table (half an hour; npm)
	$(BIN)/python tests/benchmarks/lighthouse.py

test-long: .venv/installed ## fuzz, soak, and disturb sweeps for hours, and write the figures of the page of the book's state (six hours)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group long
	$(BIN)/python -m pytest $(PARALLEL) tests/long/*.py

grid: .venv/installed ## train the 200 settings that the page shows beside its own runs (half an hour)
	$(BIN)/python book/tools/keras_grid.py

$(PUBLISHED): .venv/installed
	cd notebooks && ../$(BIN)/python ../book/tools/train_published.py $@

$(CHECKS): .venv/installed
	cd notebooks && ../$(BIN)/python ../book/tools/train_published.py --check $(@:-check=)

building: ## train the networks that chapter 3 compares (three minutes; in notebooks/runs)
batches: ## train the networks that chapter 5 compares by batch size (two minutes; in notebooks/runs)
overfitting: ## train the networks of chapter 6, whose run chapter 5 shows too (a quarter of an hour; in notebooks/runs)
ideas: ## train chapter 8's ideas, one more and one less at a time (an hour; in notebooks/runs)
crack: ## train CRACK_99 from ten seeds and open the test set once for each (six minutes)
best: ## train BEST_DENSE from three seeds (three quarters of an hour; interrupted, it goes on where it was)
convolution: ## train chapter 10's convolutional networks from three seeds (a quarter of an hour)

crack-check: ## train one of those ten seeds once more and compare it with its published run (half a minute; so for each group: building-check …)

small-network: .venv/installed ## train the small network that the front page brings along (ten minutes)
	$(BIN)/python book/tools/small_network.py

format: .venv/installed ## put code and notebooks in order before a commit
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout --keep-id --extra-keys cell.metadata.user_expressions notebooks/*.ipynb

requirements: .venv/installed ## compile requirements.txt and requirements-audit.txt anew from pyproject.toml
	$(COMPILE) --output-file requirements.txt --all-extras pyproject.toml
	$(COMPILE) --output-file requirements-audit.txt --group audit

update: COMPILE += --upgrade
update: requirements ## bring every version to the newest that pyproject.toml admits, install it, and check everything
	$(MAKE) --no-print-directory test

.venv/audit/installed: requirements-audit.txt .venv/installed
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/audit
	$(BIN)/uv pip install --quiet --python .venv/audit --only-binary :all: --require-hashes -r requirements-audit.txt
	@touch $@

# A finding that does no harm here is named as --ignore-vuln, with the reason in SECURITY.md.
audit: .venv/audit/installed ## ask PyPI and npm for known faults of the versions that are pinned
	.venv/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.txt -r requirements-audit.txt
	cd tests/benchmarks && npm audit

bill: .venv/audit/installed ## list what is installed, with licences: a software bill of materials, as CycloneDX
	@mkdir -p $(SITE)/downloads
	.venv/audit/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml --output-file $(PRINTED)-bill-of-materials.json $(BIN)/python

mark: .venv/installed ## draw the mark and the chapter digits anew
	$(BIN)/python book/assets/mark.py

picture: book ## take the picture of the front page anew, for the README and as social card (with a browser, as the tests)
	$(BIN)/python book/tools/picture.py

engine: .venv/installed ## compile the engine of the in-page lab anew from its C source
	$(BIN)/python book/tools/build_engine.py

clean: ## remove what was built, and keep the environment
	rm -rf book/_build book/notebooks .mutants .pytest_cache .ruff_cache .hypothesis
