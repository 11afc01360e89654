# One network: nodes, the API server's addresses, and private endpoints. Pods have addresses of
# the overlay. What comes in from outside reaches the gateway on 80 and 443, and nothing else.

resource "azapi_resource" "ddos" {
  count = var.ddos_protection ? 1 : 0

  type      = "Microsoft.Network/ddosProtectionPlans@2026-03-01"
  name      = local.names.ddos
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body      = {}
}

resource "azapi_resource" "nodes_nsg" {
  type      = "Microsoft.Network/networkSecurityGroups@2026-03-01"
  name      = local.names.nodes_nsg
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    properties = {
      # Azure's own rules end with one that refuses everything else from the internet.
      securityRules = [
        {
          name = "gateway"
          properties = {
            description              = "Clients to the gateway; 80 redirects, and answers ACME challenges"
            priority                 = 100
            direction                = "Inbound"
            access                   = "Allow"
            protocol                 = "Tcp"
            sourceAddressPrefixes    = var.clients
            sourcePortRange          = "*"
            destinationAddressPrefix = "*"
            destinationPortRanges    = ["80", "443"]
          }
        },
      ]
    }
  }
}

resource "azapi_resource" "private_nsg" {
  type      = "Microsoft.Network/networkSecurityGroups@2026-03-01"
  name      = local.names.private_nsg
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    properties = {
      securityRules = [
        {
          name = "network"
          properties = {
            description              = "HTTPS and Redis from inside the network"
            priority                 = 100
            direction                = "Inbound"
            access                   = "Allow"
            protocol                 = "Tcp"
            sourceAddressPrefix      = "VirtualNetwork"
            sourcePortRange          = "*"
            destinationAddressPrefix = "*"
            destinationPortRanges    = ["443", tostring(local.redis_port)]
          }
        },
        {
          name = "nothing-else"
          properties = {
            description              = "Azure's own rules would let the whole network in"
            priority                 = 4096
            direction                = "Inbound"
            access                   = "Deny"
            protocol                 = "*"
            sourceAddressPrefix      = "*"
            sourcePortRange          = "*"
            destinationAddressPrefix = "*"
            destinationPortRange     = "*"
          }
        },
      ]
    }
  }
}

resource "azapi_resource" "network" {
  type      = "Microsoft.Network/virtualNetworks@2026-03-01"
  name      = local.names.network
  parent_id = azapi_resource.group.id
  location  = var.region
  tags      = local.tags
  body = {
    properties = {
      addressSpace = {
        addressPrefixes = [var.network.space]
      }
      enableDdosProtection = var.ddos_protection
      ddosProtectionPlan   = var.ddos_protection ? { id = azapi_resource.ddos[0].id } : null
      subnets = [
        {
          name = "nodes"
          properties = {
            addressPrefix         = var.network.nodes
            defaultOutboundAccess = false
            networkSecurityGroup = {
              id = azapi_resource.nodes_nsg.id
            }
          }
        },
        {
          name = "api-server"
          properties = {
            addressPrefix         = var.network.api_server
            defaultOutboundAccess = false
            delegations = [
              {
                name = "aks"
                properties = {
                  serviceName = "Microsoft.ContainerService/managedClusters"
                }
              },
            ]
          }
        },
        {
          name = "endpoints"
          properties = {
            addressPrefix                  = var.network.endpoints
            defaultOutboundAccess          = false
            privateEndpointNetworkPolicies = "NetworkSecurityGroupEnabled"
            networkSecurityGroup = {
              id = azapi_resource.private_nsg.id
            }
          }
        },
      ]
    }
  }
}

locals {
  subnets = {
    nodes      = "${azapi_resource.network.id}/subnets/nodes"
    api_server = "${azapi_resource.network.id}/subnets/api-server"
    endpoints  = "${azapi_resource.network.id}/subnets/endpoints"
  }
}
