terraform {
  required_version = ">= 1.9"

  required_providers {
    # The newest 2.x: only it knows the newest API versions ("terraform init -upgrade").
    azapi = {
      source  = "Azure/azapi"
      version = "~> 2.4"
    }
  }
}

provider "azapi" {
  subscription_id = var.subscription_id

  # A property that is null is left out of the request: an option that is off.
  ignore_null_property = true
}

data "azapi_client_config" "current" {}
