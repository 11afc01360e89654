"""Checks objects as an API server, KubeRay's operator and the other controllers would."""
