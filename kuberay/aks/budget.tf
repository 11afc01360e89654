# On the subscription, because the nodes are in a resource group of their own.
resource "azapi_resource" "budget" {
  type      = "Microsoft.Consumption/budgets@2024-08-01"
  name      = local.names.budget
  parent_id = local.subscription
  body = {
    properties = {
      category  = "Cost"
      timeGrain = "Monthly"
      amount    = var.budget.amount
      timePeriod = {
        startDate = "${var.budget.start}T00:00:00Z"
      }
      filter = {
        dimensions = {
          name     = "ResourceGroupName"
          operator = "In"
          values   = [local.names.group, local.names.node_group]
        }
      }
      notifications = {
        most = {
          enabled       = true
          operator      = "GreaterThan"
          threshold     = 80
          thresholdType = "Actual"
          contactEmails = var.budget.emails
        }
        forecast = {
          enabled       = true
          operator      = "GreaterThan"
          threshold     = 100
          thresholdType = "Forecasted"
          contactEmails = var.budget.emails
        }
      }
    }
  }
}
