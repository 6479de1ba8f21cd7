# Each of these is one command from a bare clone with only Python 3.11 to 3.13 and make:
#
#   make run      set up and open the app           (HOST=0.0.0.0 PORT=8502 make run)
#   make test     set up and pass the quick tests   (make test ARGS="-k data")
#   make test-all set up and pass all tests: also the slow ones, and ten times the random examples
#   make mutants  set up and count the changed lines of code that the quick tests notice
#   make bench    set up and run the benchmarks
#   make findings set up, train the studies of the findings and write what they found: an hour on two cores
#   make audit    set up and look up known weaknesses of all pinned packages, at PyPI
#   make lint     ruff and the type checker alone
#   make clean    remove caches and environments; the runs in .echo stay
#
# PYTHON=/path/to/python chooses the Python that .venv is made of.

SHELL   := /bin/sh
VENV    := .venv
PYTHON3 := $(VENV)/bin/python
PIP     := $(PYTHON3) -m pip --disable-pip-version-check install -c constraints.txt
HOST    ?= localhost
PORT    ?= 8501
PYTHON  ?=
ARGS    ?=
# Much of what the tests do is waiting, so two at a time take little more than half as long on two cores.
JOBS    ?= 2
# A file's tests share servers and databases, so one process runs them all.
PYTEST  := $(PYTHON3) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Stamps: what is made once and again only when a list of requirements changes.
MADE := $(VENV)/.made
APP  := $(VENV)/.installed-app
DEV  := $(VENV)/.installed-dev
PEERS := $(VENV)-bench/.installed
MUTANTS := $(VENV)-mutants/.installed
AUDIT := $(VENV)-audit/.installed

.PHONY: help run test test-all mutants bench findings audit lint browser postgres clean
.DELETE_ON_ERROR:

help:
	@sed -n '/^#   /s/^#   //p' Makefile

run: $(APP)
	$(PYTHON3) -m echo_app --server.address=$(HOST) --server.port=$(PORT)

# Playwright leaves an event loop running in its process, in which other tests could not start one: browser tests have
# processes of their own. Status 5 says that ARGS chose none of them.
test: lint browser postgres
	$(PYTEST) -m "not slow" $(ARGS) tests/browser || [ $$? -eq 5 ]
	$(PYTEST) -m "not slow" --ignore tests/browser $(ARGS)

test-all: lint browser postgres
	$(PYTEST) --hypothesis-profile=thorough $(ARGS) tests/browser || [ $$? -eq 5 ]
	$(PYTEST) --hypothesis-profile=thorough --ignore tests/browser $(ARGS)

mutants: $(MUTANTS) postgres
	$(VENV)-mutants/bin/python tests/helpers/mutants.py $(ARGS)

bench: $(PEERS)
	$(PYTHON3) -m benchmarks.bench $(ARGS)

findings: $(DEV)
	$(PYTHON3) -m benchmarks.findings $(ARGS)

audit: $(AUDIT)
	$(VENV)-audit/bin/pip-audit --strict --disable-pip --no-deps -r requirements.txt -r constraints.txt

lint: $(DEV)
	$(PYTHON3) -m ruff check .
	$(PYTHON3) -m mypy

browser: $(DEV)
	$(PYTHON3) tests/helpers/provide.py

postgres: $(DEV)
	$(PYTHON3) tests/helpers/postgres.py

clean:
	rm -rf $(VENV) $(VENV)-bench $(VENV)-mutants $(VENV)-audit .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find echo_core echo_app tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# A command of that name need not run (pyenv's shims stand for versions that are not chosen), and a
# system's Python may lack ensurepip: so each is tried.
FITS := -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1

$(MADE):
	@test -x $(PYTHON3) && $(PYTHON3) $(FITS) && $(PYTHON3) -m pip --version >/dev/null 2>&1 || { \
	  for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
	    "$$python" $(FITS) || continue; \
	    echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
	    exec "$$python" -m venv --clear $(VENV); \
	  done; \
	  echo "Echo Lab needs Python 3.11, 3.12 or 3.13 with venv; $(or $(PYTHON),what is on PATH) does not serve." >&2; \
	  echo "Install one (on Debian and Ubuntu: apt install python3 python3-venv)," >&2; \
	  echo "or name one: make PYTHON=/path/to/python3.12 run" >&2; \
	  exit 1; }
	@touch $@

$(APP): requirements.txt constraints.txt $(MADE)
	$(PIP) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(APP)
	$(PIP) -r requirements-dev.txt
	@touch $@

# The peers of the benchmarks have an environment of their own: their packages are not the app's.
$(PEERS): benchmarks/requirements.txt constraints.txt $(APP)
	$(PYTHON3) -m venv --clear $(VENV)-bench
	$(VENV)-bench/bin/python -m pip --disable-pip-version-check install -c constraints.txt -r benchmarks/requirements.txt
	@touch $@

$(AUDIT): $(MADE)
	$(PYTHON3) -m venv --clear $(VENV)-audit
	$(VENV)-audit/bin/python -m pip --disable-pip-version-check install pip-audit==2.10.1
	@touch $@

# Cosmic Ray has an environment of its own too; the tests that it starts run in .venv.
$(MUTANTS): tests/helpers/mutants.txt $(DEV)
	$(PYTHON3) -m venv --clear $(VENV)-mutants
	$(VENV)-mutants/bin/python -m pip --disable-pip-version-check install -r tests/helpers/mutants.txt
	@touch $@
