# Against a slip in the portal. Not `prevent_destroy`: it cannot be a variable, and would refuse the
# tear-down too. A lock also holds what hangs on the resource, so it comes last and goes first.
resource "azapi_resource" "lock" {
  for_each = var.locks ? {
    vault    = azapi_resource.vault["scoring"].id
    registry = azapi_resource.registry.id
    models   = azapi_resource.models.id
    storage  = azapi_resource.storage.id
  } : {}

  type      = "Microsoft.Authorization/locks@2020-05-01"
  name      = "keep"
  parent_id = each.value
  body = {
    properties = {
      level = "CanNotDelete"
      notes = "Held by Terraform (kuberay/aks/locks.tf)"
    }
  }

  depends_on = [
    azapi_resource.audit,
    azapi_resource.endpoint_zones,
    azapi_resource.service_role,
    azapi_resource.administrator_role,
  ]
}
