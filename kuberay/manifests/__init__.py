"""The Kubernetes manifests, made from the settings that the application itself reads."""
