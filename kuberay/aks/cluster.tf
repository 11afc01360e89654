# API version 2026-08-01: Gateway API on application routing is in the stable versions since
# 2026-02-01; this is the one whose models the tests compare with.

resource "azapi_resource" "cluster" {
  type      = "Microsoft.ContainerService/managedClusters@2026-08-01"
  name      = local.names.cluster
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azapi_resource.identity["cluster"].id]
  }

  body = {
    sku = {
      name = "Base"
      tier = "Standard"
    }
    properties = {
      kubernetesVersion = var.kubernetes_version
      dnsPrefix         = local.names.cluster
      nodeResourceGroup = local.names.node_group
      nodeResourceGroupProfile = {
        restrictionLevel = "ReadOnly"
      }

      # Who comes in: Entra ID alone, and Azure's roles say what they may do.
      disableLocalAccounts = true
      enableRBAC           = true
      aadProfile = {
        managed         = true
        enableAzureRBAC = true
        tenantID        = local.tenant
      }

      # Ranges are only for an API server with a public address.
      apiServerAccessProfile = {
        enablePrivateCluster           = var.api_server.private
        enablePrivateClusterPublicFQDN = var.api_server.private ? false : null
        privateDNSZone                 = var.api_server.private ? "system" : null
        authorizedIPRanges             = var.api_server.private ? null : var.api_server.ranges
        enableVnetIntegration          = true
        subnetId                       = local.subnets.api_server
      }

      oidcIssuerProfile = {
        enabled = true
      }
      securityProfile = {
        workloadIdentity = {
          enabled = true
        }
        imageCleaner = {
          enabled       = true
          intervalHours = 168
        }
        defender = {
          logAnalyticsWorkspaceResourceId = var.defender ? azapi_resource.logs.id : null
          securityMonitoring = {
            enabled = var.defender
          }
        }
      }
      identityProfile = {
        kubeletidentity = {
          resourceId = azapi_resource.identity["kubelet"].id
          clientId   = azapi_resource.identity["kubelet"].output.properties.clientId
          objectId   = azapi_resource.identity["kubelet"].output.properties.principalId
        }
      }

      networkProfile = {
        networkPlugin     = "azure"
        networkPluginMode = "overlay"
        networkDataplane  = "cilium"
        networkPolicy     = "cilium"
        podCidr           = var.network.pods
        serviceCidr       = var.network.services
        dnsServiceIP      = cidrhost(var.network.services, 10)
        outboundType      = "loadBalancer"
        loadBalancerSku   = "standard"
      }

      # Gateway API by application routing (GatewayClass approuting-istio). Its NGINX is at the end
      # of its support, and off.
      ingressProfile = {
        gatewayAPI = {
          installation = "Standard"
        }
        webAppRouting = {
          enabled = true
          nginx = {
            defaultIngressControllerType = "None"
          }
          gatewayAPIImplementations = {
            appRoutingIstio = {
              mode = "Enabled"
            }
          }
        }
      }

      addonProfiles = {
        azureKeyvaultSecretsProvider = {
          enabled = true
          config = {
            enableSecretRotation = "true"
            rotationPollInterval = "2m"
          }
        }
        azurepolicy = {
          enabled = true
        }
      }

      azureMonitorProfile = {
        metrics = {
          enabled = true
          # So that metrics of pods can be told apart by Ray's node type and worker group.
          kubeStateMetrics = {
            metricLabelsAllowlist = "pods=[ray.io/node-type,ray.io/group,app.kubernetes.io/component]"
          }
        }
        containerInsights = {
          enabled                         = true
          logAnalyticsWorkspaceResourceId = azapi_resource.logs.id
        }
      }
      metricsProfile = {
        costAnalysis = {
          enabled = true
        }
      }

      autoUpgradeProfile = {
        upgradeChannel       = "patch"
        nodeOSUpgradeChannel = "NodeImage"
      }

      # A GPU node comes as soon as a pod waits for one and goes after ten idle minutes. A node that
      # leaves has time to drain: as long as a worker's own termination grace.
      autoScalerProfile = {
        "expander"                      = "least-waste"
        "scan-interval"                 = "10s"
        "new-pod-scale-up-delay"        = "0s"
        "max-node-provision-time"       = "15m"
        "scale-down-delay-after-add"    = "10m"
        "scale-down-unneeded-time"      = "10m"
        "max-graceful-termination-sec"  = "600"
        "skip-nodes-with-local-storage" = "false"
        "skip-nodes-with-system-pods"   = "true"
        "balance-similar-node-groups"   = "true"
      }

      agentPoolProfiles = [
        {
          name              = "system"
          mode              = "System"
          type              = "VirtualMachineScaleSets"
          osType            = "Linux"
          osSKU             = "AzureLinux3"
          vmSize            = var.system_pool.size
          osDiskSizeGB      = var.system_pool.disk_gb
          availabilityZones = var.zones
          vnetSubnetID      = local.subnets.nodes
          enableAutoScaling = true
          count             = var.system_pool.min
          minCount          = var.system_pool.min
          maxCount          = var.system_pool.max
          maxPods           = 110
          nodeTaints        = ["CriticalAddonsOnly=true:NoSchedule"]
          upgradeSettings   = local.upgrade
          securityProfile   = local.node_security
          tags              = local.tags
        },
      ]
    }
  }

  response_export_values = [
    "properties.oidcIssuerProfile.issuerURL",
    "properties.fqdn",
    "properties.privateFQDN",
  ]

  lifecycle {
    # Upgrades of the patch and the number of nodes are the cluster's own business.
    ignore_changes = [body.properties.agentPoolProfiles[0].count]
  }

  depends_on = [azapi_resource.cluster_role]
}

resource "azapi_resource" "maintenance" {
  for_each = toset(["aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"])

  type      = "Microsoft.ContainerService/managedClusters/maintenanceConfigurations@2026-08-01"
  name      = each.key
  parent_id = azapi_resource.cluster.id
  body = {
    properties = {
      maintenanceWindow = {
        schedule = {
          weekly = {
            intervalWeeks = 1
            dayOfWeek     = var.maintenance.day
          }
        }
        startTime     = var.maintenance.start
        durationHours = var.maintenance.hours
        utcOffset     = var.maintenance.utc_offset
      }
    }
  }
}
