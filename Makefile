# Everything works on a machine that has Python 3.11 or later, make, and a package index. `make help` lists it.

.DEFAULT_GOAL := help
.PHONY: help install run test check coverage matrix torture docker-test bench bench-quick docs dist release lock
PYTHON ?=
export PYTHON
# Where it is set, each process of the tests would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = pytest -n auto --maxprocesses 4 --dist loadfile

help: ## say what can be made
	@echo "make run              the service; with an invented board of 18 months when there is nothing yet"
	@echo "make test             every check and test, and a list of what could not be tested here"
	@echo "make test-NAME        the tests of one folder: test-log, test-projections, test-schema, test-page, …"
	@echo "make coverage         every test, and the lines that none of them reached; by hand, it takes longer"
	@echo "make matrix           the log, projections and schema with each Python and PostgreSQL to be had; by hand"
	@echo "make check            formatting, lint, types, import contract, known vulnerabilities"
	@echo "make torture          kills, races and load for minutes"
	@echo "make docker-test      the image, the compose file and testcontainers, in a Docker engine; root on Debian needs none"
	@echo "make bench            all measurements; bench-quick for a short look, bench-NAME for one of bench/"
	@echo "make docs             the documentation as a site, which the service serves at /docs from its next start on"
	@echo "make dist             a wheel and a source archive of the last commit in dist/, the same to the byte each time"
	@echo "make release          VERSION=1.2.0: the changelog's heading, the version, a bill of materials in dist/"
	@echo "make install          only builds .venv, from pinned packages; PYTHON=python3.13 chooses another"
	@echo "make lock             pins the newest packages anew (requirements*.txt)"

install:
	@sh .ci/install

run:
	@sh .ci/install run
	@exec .venv/bin/recount up

test: install
	@: > .venv/not-checked.txt
	@$(MAKE) --no-print-directory check
	@sh .ci/node-packages
	@sh .ci/schemathesis
	RECOUNT_TEST_NOT_CHECKED=.venv/not-checked.txt .venv/bin/python -m $(PYTEST)

test-%: install
	.venv/bin/python -m $(PYTEST) tests/$*

coverage: install
	.venv/bin/coverage erase
	.venv/bin/coverage run -m $(PYTEST); \
	    .venv/bin/coverage combine -q && .venv/bin/coverage report

matrix: install
	@.venv/bin/python .ci/matrix.py

check: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy service projections schema tests docs/site .ci/dist.py .ci/matrix.py .ci/release.py $(wildcard bench)
	.venv/bin/lint-imports
	@sh .ci/audit

torture: install
	@sh .ci/schemathesis
	.venv/bin/python -m pytest -m torture

docker-test: install
	@sh tests/docker/with-engine .venv/bin/python -m pytest -m docker --durations=10 tests/docker

bench: install
	.venv/bin/python -m bench

bench-quick: install
	.venv/bin/python -m bench --quick

bench-%: install
	.venv/bin/python -m bench.$*

docs: install
	@sh .ci/tool docs
	@.venv/bin/python -m docs.site.build

dist: install
	@.venv/bin/python .ci/dist.py

release: install
	@sh .ci/tool release
	@.venv/bin/python .ci/release.py "$(VERSION)"

lock:
	bash .ci/lock
