locals {
  subscription = "/subscriptions/${var.subscription_id}"
  tenant       = data.azapi_client_config.current.tenant_id

  # Some names are unique in all of Azure; the digits come from the subscription, so that they stay.
  digits  = substr(sha256("${var.subscription_id}/${var.name}"), 0, 6)
  compact = replace(var.name, "-", "")

  names = {
    group       = "rg-${var.name}"
    node_group  = "rg-${var.name}-nodes"
    network     = "vnet-${var.name}"
    nodes_nsg   = "nsg-${var.name}-nodes"
    private_nsg = "nsg-${var.name}-endpoints"
    ddos        = "ddos-${var.name}"
    cluster     = "aks-${var.name}"
    registry    = "cr${local.compact}${local.digits}"
    models      = "mlw-${var.name}"
    storage     = "st${local.compact}${local.digits}"
    redis       = "redis-${var.name}-${local.digits}"
    logs        = "log-${var.name}"
    metrics     = "amw-${var.name}"
    grafana     = "graf-${var.name}"
    alerts      = "ag-${var.name}"
    budget      = "budget-${var.name}"
  }

  # Scoring's own secrets, and those that the model workspace keeps for itself.
  vaults = {
    scoring = "kv-${var.name}-${local.digits}"
    models  = "km-${var.name}-${local.digits}"
  }

  # user-assigned identities: of the control plane, of the kubelets, of the scoring pods
  identities = {
    cluster = "id-${var.name}-cluster"
    kubelet = "id-${var.name}-kubelet"
    scoring = "id-${var.name}-scoring"
  }

  dns_label = "${var.name}-${local.digits}"
  hostname  = coalesce(var.hostname, "${local.dns_label}.${var.region}.cloudapp.azure.com")

  # What kuberay/base calls the namespace and its service accounts; a test compares.
  namespace        = "scoring"
  service_accounts = ["scoring-head", "scoring-worker"]

  tags = merge(var.tags, { application = "realtime-scoring", deployment = var.name })
}
