output "resource_group" {
  description = "Resource group of everything but the nodes."
  value       = azapi_resource.group.name
}

output "cluster" {
  description = "Name of the cluster."
  value       = azapi_resource.cluster.name
}

output "registry" {
  description = "Host name of the container registry: REGISTRY of `make images-push`."
  value       = azapi_resource.registry.output.properties.loginServer
}

output "registry_name" {
  description = "Name of the container registry, for `az acr login`."
  value       = azapi_resource.registry.name
}

output "redis_name" {
  description = "Name of the Redis, for `make aks-secrets`."
  value       = azapi_resource.redis.name
}

output "vault_id" {
  description = "Resource id of the vault that holds scoring's secrets, for `make aks-secrets`."
  value       = azapi_resource.vault["scoring"].id
}

output "vault_api_version" {
  description = "API version that `make aks-secrets` speaks."
  value       = split("@", azapi_resource.vault["scoring"].type)[1]
}

output "url" {
  description = "Where the service answers, once the host name's DNS points to the gateway."
  value       = "https://${local.hostname}"
}

output "grafana" {
  description = "Grafana's address, inside the network."
  value       = azapi_resource.grafana.output.properties.endpoint
}

output "grafana_name" {
  description = "Name of the Grafana, for `make aks-dashboard`."
  value       = azapi_resource.grafana.name
}

output "settings" {
  description = "settings.yaml of the overlay for this deployment: what only Azure knows."
  value = yamlencode({
    cluster = {
      redis   = { address = "rediss://${azapi_resource.redis.output.properties.hostName}:${local.redis_port}" }
      gateway = { hostname = local.hostname }
      key_vault = {
        name      = azapi_resource.vault["scoring"].name
        tenant_id = local.tenant
        client_id = azapi_resource.identity["scoring"].output.properties.clientId
      }
    }
  })
}

output "kustomization" {
  description = "kustomization.yaml of that overlay: images from this registry, and the gateway's name in Azure's DNS. TAG is the image's."
  value = yamlencode({
    apiVersion = "kustomize.config.k8s.io/v1beta1"
    kind       = "Kustomization"
    resources  = ["../production"]
    components = ["patches"]
    images = [
      for image in ["scoring-cpu", "scoring-gpu"] :
      { name = image, newName = "${azapi_resource.registry.output.properties.loginServer}/${image}", newTag = "TAG" }
    ]
    patches = [
      {
        target = { kind = "Gateway" }
        patch = yamlencode([
          {
            op    = "add"
            path  = "/spec/infrastructure"
            value = { annotations = { "service.beta.kubernetes.io/azure-dns-label-name" = local.dns_label } }
          },
        ])
      },
    ]
  })
}

output "models" {
  description = "MLflow address of the model registry: registry.uri where models are registered."
  value       = azapi_resource.models.output.properties.mlFlowTrackingUri
}
