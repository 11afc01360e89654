# Private endpoints: every service that holds data has an address in the network, and none outside.

locals {
  endpoints = {
    registry = {
      target = azapi_resource.registry.id
      group  = "registry"
      zones  = ["privatelink.azurecr.io"]
    }
    vault-scoring = {
      target = azapi_resource.vault["scoring"].id
      group  = "vault"
      zones  = ["privatelink.vaultcore.azure.net"]
    }
    vault-models = {
      target = azapi_resource.vault["models"].id
      group  = "vault"
      zones  = ["privatelink.vaultcore.azure.net"]
    }
    redis = {
      target = azapi_resource.redis.id
      group  = "redisEnterprise"
      zones  = ["privatelink.redis.azure.net"]
    }
    models = {
      target = azapi_resource.models.id
      group  = "amlworkspace"
      zones  = ["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"]
    }
    blobs = {
      target = azapi_resource.storage.id
      group  = "blob"
      zones  = ["privatelink.blob.core.windows.net"]
    }
    files = {
      target = azapi_resource.storage.id
      group  = "file"
      zones  = ["privatelink.file.core.windows.net"]
    }
    grafana = {
      target = azapi_resource.grafana.id
      group  = "grafana"
      zones  = ["privatelink.grafana.azure.com"]
    }
  }

  # Written out, since the keys of a for_each must be known before anything exists.
  zones = toset([
    "privatelink.azurecr.io",
    "privatelink.vaultcore.azure.net",
    "privatelink.redis.azure.net",
    "privatelink.api.azureml.ms",
    "privatelink.notebooks.azure.net",
    "privatelink.blob.core.windows.net",
    "privatelink.file.core.windows.net",
    "privatelink.grafana.azure.com",
  ])
}

resource "azapi_resource" "zone" {
  for_each = local.zones

  type      = "Microsoft.Network/privateDnsZones@2024-06-01"
  name      = each.key
  parent_id = azapi_resource.group.id
  location  = "global"
  tags      = local.tags
  body      = {}
}

resource "azapi_resource" "zone_link" {
  for_each = local.zones

  type      = "Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01"
  name      = local.names.network
  parent_id = azapi_resource.zone[each.key].id
  location  = "global"
  tags      = local.tags
  body = {
    properties = {
      registrationEnabled = false
      virtualNetwork = {
        id = azapi_resource.network.id
      }
    }
  }
}

resource "azapi_resource" "endpoint" {
  for_each = local.endpoints

  type      = "Microsoft.Network/privateEndpoints@2026-03-01"
  name      = "pe-${var.name}-${each.key}"
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    properties = {
      subnet = {
        id = local.subnets.endpoints
      }
      privateLinkServiceConnections = [
        {
          name = each.key
          properties = {
            privateLinkServiceId = each.value.target
            groupIds             = [each.value.group]
          }
        },
      ]
    }
  }
}

resource "azapi_resource" "endpoint_zones" {
  for_each = local.endpoints

  type      = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2026-03-01"
  name      = "default"
  parent_id = azapi_resource.endpoint[each.key].id
  body = {
    properties = {
      privateDnsZoneConfigs = [
        for zone in each.value.zones : {
          name = replace(zone, ".", "-")
          properties = {
            privateDnsZoneId = azapi_resource.zone[zone].id
          }
        }
      ]
    }
  }
}
