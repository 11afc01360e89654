# A laptop's cluster (docs/kind.md). Each target prints the commands that it runs.
# make kind-up kind-images kind-deploy kind-test kind-down

KIND ?= kind
KIND_CLUSTER ?= scoring
KIND_CONTEXT := kind-$(KIND_CLUSTER)
KIND_KUBECONFIG ?= $(CURDIR)/.scoring/kind-kubeconfig
KIND_KUBERAY_VERSION ?= 1.7.0
KIND_KEYS ?= .scoring/kind-keys.json
KIND_OVERLAY := kuberay/overlays/kind
KIND_IMAGE = scoring-cpu:$(VERSION)
KIND_ARCHIVE := build/scoring-cpu.tar
KUBECTL = kubectl --kubeconfig $(KIND_KUBECONFIG)

.PHONY: kind-up kind-images kind-deploy kind-url kind-test kind-down

# The operator with the feature gate that the overlay's volume needs.
kind-up:
	mkdir -p $(dir $(KIND_KUBECONFIG))
	$(KIND) create cluster --name $(KIND_CLUSTER) --kubeconfig $(KIND_KUBECONFIG) --wait 3m
	helm upgrade --install kuberay-operator kuberay-operator --kubeconfig $(KIND_KUBECONFIG) \
	  --repo $(KUBERAY_CHARTS) --version $(KIND_KUBERAY_VERSION) \
	  --namespace kuberay-system --create-namespace --values kuberay/operator-values.yaml --wait

# Into the nodes, from an archive: that works with docker and with buildah. The overlay names the tag `latest`.
kind-images:
	mkdir -p $(dir $(KIND_ARCHIVE))
	rm -f $(KIND_ARCHIVE)
	$(KIND_SAVE_$(BUILDER))
	$(KIND) load image-archive $(KIND_ARCHIVE) --name $(KIND_CLUSTER)

KIND_SAVE_docker = docker tag $(KIND_IMAGE) scoring-cpu:latest && docker save --output $(KIND_ARCHIVE) scoring-cpu:latest
KIND_SAVE_buildah = buildah push $(KIND_IMAGE) docker-archive:$(KIND_ARCHIVE):docker.io/library/scoring-cpu:latest

# The key is made once; its text is printed then, and nowhere else.
kind-deploy: $(INSTALLED)
	test -f $(KIND_KEYS) || $(BIN)/scoring keys create --scope faq --name laptop auth.keys=$(CURDIR)/$(KIND_KEYS)
	$(KUBECTL) apply --filename kuberay/base/namespace.yaml
	$(KUBECTL) create secret generic scoring-keys --namespace scoring --from-file=keys.json=$(KIND_KEYS) \
	  --dry-run=client --output yaml | $(KUBECTL) apply --server-side --filename -
	KUBECONFIG=$(KIND_KUBECONFIG) $(BIN)/scoring rollout apply $(KIND_OVERLAY)

# Until Ctrl-C: http://127.0.0.1:8000
kind-url:
	$(KUBECTL) --namespace scoring port-forward service/scoring-serve-svc 8000

kind-test: $(INSTALLED)
	KUBECONFIG=$(KIND_KUBECONFIG) SCORING_TEST_STRICT=1 SCORING_TEST_IMAGE=scoring-cpu:latest SCORING_TEST_PULL_POLICY=IfNotPresent \
	  $(BIN)/pytest -m kubernetes -s $(ARGS)

kind-down:
	$(KIND) delete cluster --name $(KIND_CLUSTER) --kubeconfig $(KIND_KUBECONFIG)
	rm -f $(KIND_KEYS) $(KIND_KUBECONFIG)
