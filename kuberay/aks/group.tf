resource "azapi_resource" "group" {
  type      = "Microsoft.Resources/resourceGroups@2024-03-01"
  name      = local.names.group
  parent_id = local.subscription
  location  = var.region
  tags      = local.tags
  body      = {}
}
