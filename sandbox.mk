# Builds and tests sandbox/, a module of its own that compiles all of
# Kubernetes: minutes the first time, nothing while its sources stay the same.
# Included by the Makefile.

.PHONY: sandbox sandbox-test

sandbox: ## bin/ebb-sandbox, a Kubernetes control plane in one process
	@sh sandbox/build.sh

# No race detector: a second build of Kubernetes would take longer than it is
# worth. The binary is built first, since that tells how far it is.
sandbox-test: ## the tests of ebb-sandbox itself
	@sh sandbox/build.sh test
