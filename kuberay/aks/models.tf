# The model registry: an Azure Machine Learning workspace, which speaks MLflow. Nothing of our own
# has to run, be patched and be backed up, and Entra ID says who may read and who may register;
# an MLflow server would need a database, a storage account and a door with a lock of its own.

resource "azapi_resource" "storage" {
  type      = "Microsoft.Storage/storageAccounts@2026-09-01"
  name      = local.names.storage
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    kind = "StorageV2"
    sku = {
      name = "Standard_ZRS"
    }
    properties = {
      accessTier                   = "Hot"
      allowBlobPublicAccess        = false
      allowSharedKeyAccess         = false
      allowCrossTenantReplication  = false
      defaultToOAuthAuthentication = true
      isLocalUserEnabled           = false
      minimumTlsVersion            = "TLS1_2"
      supportsHttpsTrafficOnly     = true
      publicNetworkAccess          = "Disabled"
      networkAcls = {
        bypass        = "AzureServices"
        defaultAction = "Deny"
      }
    }
  }
}

resource "azapi_resource" "models" {
  type      = "Microsoft.MachineLearningServices/workspaces@2025-12-01"
  name      = local.names.models
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags

  identity {
    type = "SystemAssigned"
  }

  body = {
    kind = "Default"
    sku = {
      name = "Basic"
      tier = "Basic"
    }
    properties = {
      friendlyName             = "Models of realtime-scoring (${var.name})"
      storageAccount           = azapi_resource.storage.id
      keyVault                 = azapi_resource.vault["models"].id
      publicNetworkAccess      = "Disabled"
      systemDatastoresAuthMode = "Identity"
      v1LegacyMode             = false
    }
  }

  response_export_values = ["properties.mlFlowTrackingUri"]
}
