locals {
  # One node more while nodes are replaced. A node whose pods cannot leave is set aside after the
  # drain's time, and the upgrade goes on: PodDisruptionBudgets are not overrun.
  upgrade = {
    maxSurge                  = "1"
    drainTimeoutInMinutes     = 30
    nodeSoakDurationInMinutes = 0
    undrainableNodeBehavior   = "Cordon"
  }

  node_security = {
    enableVTPM       = true
    enableSecureBoot = true
    sshAccess        = "Disabled"
  }

  # The toleration of the gpu worker group in kuberay/base; a test compares.
  gpu_taint = "sku=gpu:NoSchedule"

  # AKS sets this one on spot nodes; it is written out so that it stays in the pool's description.
  spot_taint = "kubernetes.azure.com/scalesetpriority=spot:NoSchedule"
}

resource "azapi_resource" "cpu_pool" {
  type      = "Microsoft.ContainerService/managedClusters/agentPools@2026-08-01"
  name      = "cpu"
  parent_id = azapi_resource.cluster.id
  body = {
    properties = {
      mode              = "User"
      type              = "VirtualMachineScaleSets"
      osType            = "Linux"
      osSKU             = "AzureLinux3"
      vmSize            = var.cpu_pool.size
      osDiskSizeGB      = var.cpu_pool.disk_gb
      availabilityZones = var.zones
      vnetSubnetID      = local.subnets.nodes
      enableAutoScaling = true
      count             = var.cpu_pool.min
      minCount          = var.cpu_pool.min
      maxCount          = var.cpu_pool.max
      maxPods           = 110
      nodeLabels = {
        "scoring/pool" = "cpu"
      }
      upgradeSettings = local.upgrade
      securityProfile = local.node_security
      tags            = local.tags
    }
  }

  lifecycle {
    ignore_changes = [body.properties.count]
  }
}

resource "azapi_resource" "gpu_pool" {
  type      = "Microsoft.ContainerService/managedClusters/agentPools@2026-08-01"
  name      = "gpu"
  parent_id = azapi_resource.cluster.id
  body = {
    properties = {
      mode              = "User"
      type              = "VirtualMachineScaleSets"
      osType            = "Linux"
      osSKU             = "Ubuntu"
      vmSize            = var.gpu_pool.size
      osDiskSizeGB      = var.gpu_pool.disk_gb
      availabilityZones = var.zones
      vnetSubnetID      = local.subnets.nodes
      enableAutoScaling = true
      count             = var.gpu_pool.min
      minCount          = var.gpu_pool.min
      maxCount          = var.gpu_pool.max
      maxPods           = 30

      # Driver, device plugin and DCGM's metrics, all kept by AKS.
      gpuProfile = {
        driver = "Install"
        nvidia = {
          managementMode = "Managed"
        }
      }

      scaleSetPriority       = var.gpu_pool.spot ? "Spot" : "Regular"
      scaleSetEvictionPolicy = var.gpu_pool.spot ? "Delete" : null
      spotMaxPrice           = var.gpu_pool.spot ? -1 : null

      nodeTaints = var.gpu_pool.spot ? [local.gpu_taint, local.spot_taint] : [local.gpu_taint]
      nodeLabels = {
        "scoring/pool" = "gpu"
      }

      # Spot pools take no surge: the node that would come first may never come.
      upgradeSettings = var.gpu_pool.spot ? null : local.upgrade

      # The driver's kernel module is not signed for secure boot.
      securityProfile = {
        enableVTPM       = true
        enableSecureBoot = false
        sshAccess        = "Disabled"
      }
      tags = local.tags
    }
  }

  lifecycle {
    ignore_changes = [body.properties.count]
  }
}
