"""The application on Kubernetes: manifests, rollouts, monitoring, AKS."""
