# Metrics go to Azure Monitor's managed Prometheus, logs to Log Analytics (Container insights),
# pictures come from managed Grafana, and alerts are those of kuberay/monitoring/alerts.yaml.

resource "azapi_resource" "logs" {
  type      = "Microsoft.OperationalInsights/workspaces@2025-07-01"
  name      = local.names.logs
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    properties = {
      sku = {
        name = "PerGB2018"
      }
      retentionInDays = var.logs.days
      workspaceCapping = {
        dailyQuotaGb = var.logs.daily_gb
      }
      features = {
        disableLocalAuth = true
      }
    }
  }
}

resource "azapi_resource" "metrics" {
  type      = "Microsoft.Monitor/accounts@2023-04-03"
  name      = local.names.metrics
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body      = {}
}

resource "azapi_resource" "collection_endpoint" {
  type      = "Microsoft.Insights/dataCollectionEndpoints@2023-03-11"
  name      = "dce-${var.name}"
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    kind       = "Linux"
    properties = {}
  }
}

resource "azapi_resource" "metrics_rule" {
  type      = "Microsoft.Insights/dataCollectionRules@2023-03-11"
  name      = "dcr-${var.name}-prometheus"
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    kind = "Linux"
    properties = {
      dataCollectionEndpointId = azapi_resource.collection_endpoint.id
      dataSources = {
        prometheusForwarder = [
          {
            name    = "prometheus"
            streams = ["Microsoft-PrometheusMetrics"]
          },
        ]
      }
      destinations = {
        monitoringAccounts = [
          {
            name              = "metrics"
            accountResourceId = azapi_resource.metrics.id
          },
        ]
      }
      dataFlows = [
        {
          streams      = ["Microsoft-PrometheusMetrics"]
          destinations = ["metrics"]
        },
      ]
    }
  }
}

resource "azapi_resource" "logs_rule" {
  type      = "Microsoft.Insights/dataCollectionRules@2023-03-11"
  name      = "dcr-${var.name}-insights"
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    kind = "Linux"
    properties = {
      dataSources = {
        extensions = [
          {
            name          = "insights"
            extensionName = "ContainerInsights"
            streams       = local.log_streams
            extensionSettings = {
              dataCollectionSettings = {
                interval               = "1m"
                namespaceFilteringMode = "Include"
                namespaces             = [local.namespace, "kuberay-system"]
                enableContainerLogV2   = true
              }
            }
          },
        ]
      }
      destinations = {
        logAnalytics = [
          {
            name                = "logs"
            workspaceResourceId = azapi_resource.logs.id
          },
        ]
      }
      dataFlows = [
        {
          streams      = local.log_streams
          destinations = ["logs"]
        },
      ]
    }
  }
}

locals {
  log_streams = ["Microsoft-ContainerLogV2", "Microsoft-KubeEvents", "Microsoft-KubePodInventory"]
}

# These names are the ones that the agents in the cluster look for.
resource "azapi_resource" "collection" {
  for_each = {
    ContainerInsightsMetricsExtension = azapi_resource.metrics_rule.id
    ContainerInsightsExtension        = azapi_resource.logs_rule.id
  }

  type      = "Microsoft.Insights/dataCollectionRuleAssociations@2023-03-11"
  name      = each.key
  parent_id = azapi_resource.cluster.id
  body = {
    properties = {
      dataCollectionRuleId = each.value
    }
  }
}

resource "azapi_resource" "grafana" {
  type      = "Microsoft.Dashboard/grafana@2025-08-01"
  name      = local.names.grafana
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags

  identity {
    type = "SystemAssigned"
  }

  body = {
    sku = {
      name = "Standard"
    }
    properties = {
      publicNetworkAccess = "Disabled"
      apiKey              = "Disabled"
      grafanaIntegrations = {
        azureMonitorWorkspaceIntegrations = [
          {
            azureMonitorWorkspaceResourceId = azapi_resource.metrics.id
          },
        ]
      }
    }
  }

  response_export_values = ["properties.endpoint"]
}

resource "azapi_resource" "alert_group" {
  type      = "Microsoft.Insights/actionGroups@2023-01-01"
  name      = local.names.alerts
  parent_id = azapi_resource.group.id
  location  = "global"
  tags      = local.tags
  body = {
    properties = {
      enabled        = true
      groupShortName = "scoring"
      emailReceivers = [
        for address in var.budget.emails : {
          name                 = address
          emailAddress         = address
          useCommonAlertSchema = true
        }
      ]
    }
  }
}

resource "azapi_resource" "alerts" {
  for_each = { for group in yamldecode(file("${path.module}/../monitoring/alerts.yaml")).groups : group.name => group.rules }

  type      = "Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01"
  name      = "${var.name}-${each.key}"
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    properties = {
      enabled     = true
      clusterName = local.names.cluster
      interval    = "PT1M"
      scopes      = [azapi_resource.metrics.id, azapi_resource.cluster.id]
      rules = [
        for rule in each.value : {
          enabled     = true
          record      = try(rule.record, null)
          alert       = try(rule.alert, null)
          expression  = rule.expr
          for         = try("PT${upper(rule.for)}", null)
          labels      = try(rule.labels, null)
          annotations = try(rule.annotations, null)
          severity    = try({ page = 1, ticket = 3 }[rule.labels.severity], null)
          actions     = can(rule.alert) ? [{ actionGroupId = azapi_resource.alert_group.id }] : null
        }
      ]
    }
  }
}

resource "azapi_resource" "audit" {
  for_each = {
    cluster = { target = azapi_resource.cluster.id, categories = ["kube-audit-admin", "guard", "cluster-autoscaler"] }
    vault   = { target = azapi_resource.vault["scoring"].id, categories = ["AuditEvent"] }
    images  = { target = azapi_resource.registry.id, categories = ["ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"] }
  }

  type      = "Microsoft.Insights/diagnosticSettings@2021-05-01-preview"
  name      = "audit"
  parent_id = each.value.target
  body = {
    properties = {
      workspaceId                 = azapi_resource.logs.id
      logAnalyticsDestinationType = "Dedicated"
      logs                        = [for category in each.value.categories : { category = category, enabled = true }]
    }
  }
}
