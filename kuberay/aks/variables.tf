# What a deployment chooses. Sizes are in sizes/*.tfvars.json; prices in prices.yaml.

variable "subscription_id" {
  description = "Subscription that everything is created in."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.subscription_id))
    error_message = "subscription_id is a UUID in lower case."
  }
}

variable "name" {
  description = "Name of the deployment: a part of every resource's name."
  type        = string
  default     = "scoring"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$", var.name))
    error_message = "name has 1 to 12 lower case letters, digits and hyphens, and begins with a letter: vaults and storage accounts allow no longer names."
  }
}

variable "region" {
  description = "Azure region, as in `az account list-locations --query [].name`."
  type        = string
  default     = "eastus"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]+$", var.region))
    error_message = "region is a name such as eastus, in lower case and without spaces."
  }
}

variable "zones" {
  description = "Availability zones of the node pools; fewer where the region lacks a size in one of them."
  type        = list(string)
  default     = ["1", "2", "3"]

  validation {
    condition     = alltrue([for zone in var.zones : contains(["1", "2", "3"], zone)])
    error_message = "zones are \"1\", \"2\" and \"3\"."
  }
}

variable "tags" {
  description = "Tags of every resource, beside application and deployment."
  type        = map(string)
  default     = {}
}

variable "administrators" {
  description = "Object ids of the Entra ID groups that administer the cluster, push images and models, and see Grafana."
  type        = list(string)

  validation {
    condition = length(var.administrators) > 0 && alltrue([
      for id in var.administrators : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))
    ])
    error_message = "administrators has at least one object id: local accounts are disabled, so without one nobody gets in."
  }
}

variable "hostname" {
  description = "Name that clients use, such as scoring.example.com; null takes NAME.REGION.cloudapp.azure.com, which needs no DNS zone."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.hostname == null || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.hostname))
    error_message = "hostname is a full domain name in lower case, without a scheme."
  }
}

variable "network" {
  description = "Address ranges (CIDR): the virtual network, its subnets, and the overlay's pods and services, which exist only inside the cluster."
  type = object({
    space      = string
    nodes      = string
    api_server = string
    endpoints  = string
    pods       = string
    services   = string
  })
  default = {
    space      = "10.40.0.0/16"
    nodes      = "10.40.0.0/20"
    api_server = "10.40.16.0/28"
    endpoints  = "10.40.17.0/24"
    pods       = "10.244.0.0/16"
    services   = "10.41.0.0/16"
  }

  validation {
    condition     = alltrue([for range in values(var.network) : can(cidrhost(range, 0))])
    error_message = "Every range of network is a CIDR such as 10.40.0.0/20."
  }
}

variable "clients" {
  description = "Address ranges that may reach the gateway on 80 and 443; the default is everybody, who still needs a key or a token."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.clients) > 0 && alltrue([for range in var.clients : can(cidrhost(range, 0))])
    error_message = "clients has at least one CIDR."
  }
}

variable "api_server" {
  description = "Who reaches the API server: private (only from the network), or the address ranges that may come in from outside."
  type = object({
    private = bool
    ranges  = list(string)
  })
  default = {
    private = true
    ranges  = []
  }

  validation {
    condition     = var.api_server.private || length(var.api_server.ranges) > 0
    error_message = "An API server that is not private needs address ranges: it would be open to the internet."
  }

  validation {
    condition     = !var.api_server.private || length(var.api_server.ranges) == 0
    error_message = "A private API server takes no address ranges: nobody reaches it from outside."
  }

  validation {
    condition = alltrue([
      for range in var.api_server.ranges : can(cidrhost(range, 0)) && !can(regex("/[0-7]$", range))
    ])
    error_message = "ranges are CIDRs no wider than /8: 0.0.0.0/0 is no restriction."
  }
}

variable "registry_ranges" {
  description = "Address ranges that may push images from outside the network; none closes the registry to the outside."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for range in var.registry_ranges : can(cidrhost(range, 0)) && !can(regex("/[0-7]$", range))
    ])
    error_message = "registry_ranges are CIDRs no wider than /8."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes; the patch comes from the upgrade channel."
  type        = string
  default     = "1.34"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version is a minor version such as 1.34."
  }
}

variable "system_pool" {
  description = "Nodes of the cluster's own pods and of the KubeRay operator."
  type = object({
    size    = string
    min     = number
    max     = number
    disk_gb = number
  })

  validation {
    condition     = var.system_pool.min >= 1 && var.system_pool.max >= var.system_pool.min
    error_message = "system_pool has at least one node, and max is at least min."
  }
}

variable "cpu_pool" {
  description = "Nodes of the head, the Router and the FAQ ranker."
  type = object({
    size    = string
    min     = number
    max     = number
    disk_gb = number
  })

  validation {
    condition     = var.cpu_pool.min >= 1 && var.cpu_pool.max >= var.cpu_pool.min
    error_message = "cpu_pool has at least one node (the head's), and max is at least min."
  }
}

variable "gpu_pool" {
  description = "Nodes of the image classifier; min may be 0. spot nodes cost less and can be taken away with 30 seconds' notice."
  type = object({
    size    = string
    min     = number
    max     = number
    disk_gb = number
    spot    = bool
  })

  validation {
    condition     = var.gpu_pool.min >= 0 && var.gpu_pool.max >= max(1, var.gpu_pool.min)
    error_message = "gpu_pool: min is 0 or more, max at least 1 and at least min."
  }
}

variable "redis" {
  description = "Azure Managed Redis that keeps the head's state (GCS fault tolerance): the SKU, and whether it is replicated."
  type = object({
    sku               = string
    high_availability = bool
  })

  validation {
    condition     = can(regex("^(Balanced_B|MemoryOptimized_M|ComputeOptimized_X)[0-9]+$", var.redis.sku))
    error_message = "redis.sku is one of Azure Managed Redis, such as Balanced_B0."
  }
}

variable "logs" {
  description = "Log Analytics: days that logs are kept, and gigabytes a day after which no more are taken (-1: no limit)."
  type = object({
    days     = number
    daily_gb = number
  })

  validation {
    condition     = var.logs.days >= 30 && var.logs.days <= 730
    error_message = "logs.days is between 30 and 730."
  }

  validation {
    condition     = var.logs.daily_gb == -1 || var.logs.daily_gb > 0
    error_message = "logs.daily_gb is above 0, or -1."
  }
}

variable "defender" {
  description = "Microsoft Defender's sensor on the nodes; its plan is switched on for the subscription (docs/aks.md)."
  type        = bool
  default     = true
}

variable "ddos_protection" {
  description = "A DDoS protection plan for the network; it has a high fixed price, and one plan serves a whole tenant."
  type        = bool
  default     = false
}

variable "locks" {
  description = "Locks against deletion by hand on vaults, registry and models; terraform destroy takes them away first."
  type        = bool
  default     = true
}

variable "recover_vaults" {
  description = "Recover vaults of the same name that were deleted less than a week ago: for a deployment that is made again."
  type        = bool
  default     = false
}

variable "maintenance" {
  description = "Weekly window for upgrades of the cluster and of the nodes' images, in local time at that offset from UTC."
  type = object({
    day        = string
    start      = string
    hours      = number
    utc_offset = string
  })
  default = {
    day        = "Sunday"
    start      = "02:00"
    hours      = 6
    utc_offset = "+00:00"
  }

  validation {
    condition     = contains(["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"], var.maintenance.day)
    error_message = "maintenance.day is a day of the week, such as Sunday."
  }

  validation {
    condition     = var.maintenance.hours >= 4 && var.maintenance.hours <= 24
    error_message = "maintenance.hours is between 4 and 24."
  }

  validation {
    condition     = can(regex("^[0-2][0-9]:[0-5][0-9]$", var.maintenance.start)) && can(regex("^[+-][0-1][0-9]:[0-5][0-9]$", var.maintenance.utc_offset))
    error_message = "maintenance.start is HH:MM and utc_offset +HH:MM or -HH:MM."
  }
}

variable "budget" {
  description = "Amount a month, in the billing currency, whose use is mailed; it stops nothing. start is the first of a month."
  type = object({
    amount = number
    start  = string
    emails = list(string)
  })

  validation {
    condition     = var.budget.amount > 0 && length(var.budget.emails) > 0
    error_message = "budget has an amount above 0 and at least one address."
  }

  validation {
    condition     = can(regex("^20[0-9]{2}-(0[1-9]|1[0-2])-01$", var.budget.start))
    error_message = "budget.start is the first of a month, such as 2027-01-01."
  }
}
