# Vaults are open to roles alone, and have no public address. What is in them is put there by
# `make aks-secrets`, over Azure's management plane; Terraform never sees a secret.

resource "azapi_resource" "vault" {
  for_each = local.vaults

  type      = "Microsoft.KeyVault/vaults@2026-05-15"
  name      = each.value
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    properties = {
      tenantId = local.tenant
      sku = {
        family = "A"
        name   = "standard"
      }
      createMode                = var.recover_vaults ? "recover" : "default"
      enableRbacAuthorization   = true
      enableSoftDelete          = true
      softDeleteRetentionInDays = 7
      enablePurgeProtection     = true
      publicNetworkAccess       = "Disabled"
      networkAcls = {
        bypass        = "AzureServices"
        defaultAction = "Deny"
      }
    }
  }

  response_export_values = ["properties.vaultUri"]
}
