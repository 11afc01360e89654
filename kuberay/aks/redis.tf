# Azure Managed Redis keeps what the head knows of its cluster, so that a new head finds it again
# (GCS fault tolerance). Its key goes from `make aks-secrets` to the vault, never into the state.

locals {
  redis_port = 10000
}

resource "azapi_resource" "redis" {
  type      = "Microsoft.Cache/redisEnterprise@2025-07-01"
  name      = local.names.redis
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    sku = {
      name = var.redis.sku
    }
    properties = {
      minimumTlsVersion   = "1.2"
      highAvailability    = var.redis.high_availability ? "Enabled" : "Disabled"
      publicNetworkAccess = "Disabled"
    }
  }

  response_export_values = ["properties.hostName"]
}

resource "azapi_resource" "redis_database" {
  type      = "Microsoft.Cache/redisEnterprise/databases@2025-07-01"
  name      = "default"
  parent_id = azapi_resource.redis.id
  body = {
    properties = {
      clientProtocol = "Encrypted"
      port           = local.redis_port

      # Ray speaks to one endpoint, and must lose nothing that it stored.
      clusteringPolicy = "NoCluster"
      evictionPolicy   = "NoEviction"
      persistence = {
        aofEnabled   = true
        aofFrequency = "1s"
      }

      # Ray knows a password, and no tokens of Entra ID.
      accessKeysAuthentication = "Enabled"
    }
  }
}
