"""Azure Kubernetes Service: Terraform beside this file, and what it costs."""
