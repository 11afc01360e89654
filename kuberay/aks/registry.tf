resource "azapi_resource" "registry" {
  type      = "Microsoft.ContainerRegistry/registries@2025-11-01"
  name      = local.names.registry
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    # Premium: the one with private endpoints.
    sku = {
      name = "Premium"
    }
    properties = {
      adminUserEnabled         = false
      anonymousPullEnabled     = false
      dataEndpointEnabled      = true
      zoneRedundancy           = "Enabled"
      publicNetworkAccess      = length(var.registry_ranges) > 0 ? "Enabled" : "Disabled"
      networkRuleBypassOptions = "AzureServices"
      networkRuleSet = {
        defaultAction = "Deny"
        ipRules       = [for range in var.registry_ranges : { action = "Allow", value = range }]
      }

      # AcrPull and AcrPush count only in this mode.
      roleAssignmentMode = "LegacyRegistryPermissions"
      policies = {
        retentionPolicy = {
          status = "enabled"
          days   = 30
        }
      }
    }
  }

  response_export_values = ["properties.loginServer"]
}
