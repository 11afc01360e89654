# Identities, and what each may do. No password, no key: pods prove who they are by the tokens of
# their service accounts (workload identity).

resource "azapi_resource" "identity" {
  for_each = local.identities

  type      = "Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30"
  name      = each.value
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body      = {}

  response_export_values = ["properties.clientId", "properties.principalId"]
}

resource "azapi_resource" "federation" {
  for_each = toset(local.service_accounts)

  type      = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30"
  name      = "${local.namespace}-${each.key}"
  parent_id = azapi_resource.identity["scoring"].id
  body = {
    properties = {
      issuer    = azapi_resource.cluster.output.properties.oidcIssuerProfile.issuerURL
      subject   = "system:serviceaccount:${local.namespace}:${each.key}"
      audiences = ["api://AzureADTokenExchange"]
    }
  }
}

locals {
  # Azure's built-in roles, by the ids that are the same everywhere:
  # https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
  role_ids = {
    network_contributor       = "4d97b98b-1d4f-4787-a291-c67834d212e7"
    managed_identity_operator = "f1a07417-d97a-45cb-824c-7a7467783830"
    acr_pull                  = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    acr_push                  = "8311e382-0749-4cb8-b61a-304f252e45ec"
    key_vault_secrets_user    = "4633458b-17de-408a-b874-0445c86b69e6"
    reader                    = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    blob_data_reader          = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    blob_data_contributor     = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    ml_data_scientist         = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
    monitoring_data_reader    = "b0d8363b-8ddd-447d-831f-62ca05bff136"
    monitoring_reader         = "43d0d8ad-25c7-4714-9337-8ba259a9fe05"
    grafana_admin             = "22926164-76b3-42b3-bc55-97df8dab3e41"
    cluster_user              = "4abbcc35-e782-43d8-92c5-2d3f1bd2248f"
    cluster_admin             = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
  }

  # What the control plane needs before there is a cluster.
  cluster_roles = {
    network = { scope = azapi_resource.network.id, role = "network_contributor" }
    kubelet = { scope = azapi_resource.identity["kubelet"].id, role = "managed_identity_operator" }
  }

  service_roles = {
    pull = {
      scope = azapi_resource.registry.id
      role  = "acr_pull"
      who   = azapi_resource.identity["kubelet"].output.properties.principalId
    }
    secrets = {
      scope = azapi_resource.vault["scoring"].id
      role  = "key_vault_secrets_user"
      who   = azapi_resource.identity["scoring"].output.properties.principalId
    }
    models = {
      scope = azapi_resource.models.id
      role  = "reader"
      who   = azapi_resource.identity["scoring"].output.properties.principalId
    }
    artifacts = {
      scope = azapi_resource.storage.id
      role  = "blob_data_reader"
      who   = azapi_resource.identity["scoring"].output.properties.principalId
    }
    grafana-metrics = {
      scope = azapi_resource.metrics.id
      role  = "monitoring_data_reader"
      who   = azapi_resource.grafana.identity[0].principal_id
    }
    grafana-azure = {
      scope = azapi_resource.group.id
      role  = "monitoring_reader"
      who   = azapi_resource.grafana.identity[0].principal_id
    }
  }

  administrator_scopes = {
    cluster_user          = azapi_resource.cluster.id
    cluster_admin         = azapi_resource.cluster.id
    acr_push              = azapi_resource.registry.id
    ml_data_scientist     = azapi_resource.models.id
    blob_data_contributor = azapi_resource.storage.id
    grafana_admin         = azapi_resource.grafana.id
  }

  administrator_roles = {
    for pair in setproduct(var.administrators, keys(local.administrator_scopes)) :
    "${pair[1]}-${pair[0]}" => { scope = local.administrator_scopes[pair[1]], role = pair[1], who = pair[0] }
  }
}

resource "azapi_resource" "cluster_role" {
  for_each = local.cluster_roles

  type      = "Microsoft.Authorization/roleAssignments@2022-04-01"
  name      = uuidv5("url", "${local.subscription}/${local.names.group}/cluster/${each.key}")
  parent_id = each.value.scope
  body = {
    properties = {
      roleDefinitionId = "${local.subscription}/providers/Microsoft.Authorization/roleDefinitions/${local.role_ids[each.value.role]}"
      principalId      = azapi_resource.identity["cluster"].output.properties.principalId
      principalType    = "ServicePrincipal"
    }
  }
}

resource "azapi_resource" "service_role" {
  for_each = local.service_roles

  type      = "Microsoft.Authorization/roleAssignments@2022-04-01"
  name      = uuidv5("url", "${local.subscription}/${local.names.group}/service/${each.key}")
  parent_id = each.value.scope
  body = {
    properties = {
      roleDefinitionId = "${local.subscription}/providers/Microsoft.Authorization/roleDefinitions/${local.role_ids[each.value.role]}"
      principalId      = each.value.who
      principalType    = "ServicePrincipal"
    }
  }
}

resource "azapi_resource" "administrator_role" {
  for_each = local.administrator_roles

  type      = "Microsoft.Authorization/roleAssignments@2022-04-01"
  name      = uuidv5("url", "${local.subscription}/${local.names.group}/administrator/${each.key}")
  parent_id = each.value.scope
  body = {
    properties = {
      roleDefinitionId = "${local.subscription}/providers/Microsoft.Authorization/roleDefinitions/${local.role_ids[each.value.role]}"
      principalId      = each.value.who
      principalType    = "Group"
    }
  }
}
