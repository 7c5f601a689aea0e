# The policies are generated from the calls of the real provider (policies/README.md). Values are put into the decoded
# files, so that no value can become JSON.

locals {
  # Policy → the role that gets it, and whether anything needs it.
  policies = {
    plan                    = { role = "plan", file = "plan", used = true }
    deploy                  = { role = "deploy", file = "deploy", used = true }
    deploy-create           = { role = "deploy", file = "deploy-create", used = true }
    deploy-subnets          = { role = "deploy", file = "deploy-subnets", used = length(var.subnet_ids) > 0 }
    plan-endpoint           = { role = "plan", file = "endpoint", used = length(var.instance_connect_endpoint_ids) > 0 }
    deploy-endpoint         = { role = "deploy", file = "endpoint", used = length(var.instance_connect_endpoint_ids) > 0 }
    plan-dns                = { role = "plan", file = "plan-dns", used = var.dns_zone_id != null }
    deploy-dns              = { role = "deploy", file = "deploy-dns", used = var.dns_zone_id != null }
    deploy-instance-profile = { role = "deploy", file = "deploy-instance-profile", used = length(var.node_role_arns) > 0 }
    plan-backup             = { role = "plan", file = "plan-backup", used = var.backup_bucket != null }
    deploy-backup           = { role = "deploy", file = "deploy-backup", used = var.backup_bucket != null }
    plan-snapshots          = { role = "plan", file = "plan-snapshots", used = var.snapshots }
    deploy-snapshots        = { role = "deploy", file = "deploy-snapshots", used = var.snapshots }
    deploy-volume-key       = { role = "deploy", file = "deploy-volume-key", used = length(var.volume_kms_key_arns) > 0 }
    plan-state-key          = { role = "plan", file = "plan-state-key", used = var.state_kms_key_arn != null }
    deploy-state-key        = { role = "deploy", file = "deploy-state-key", used = var.state_kms_key_arn != null }
  }

  used = { for name, policy in local.policies : name => policy if policy.used }

  decoded = { for name, policy in local.used : name => jsondecode(file("${path.module}/policies/${policy.file}.json")) }

  # Placeholder → its values.
  values = {
    CLUSTER           = var.clusters
    REGION            = [var.region]
    ACCOUNT           = [data.aws_caller_identity.current.account_id]
    STATE-BUCKET      = [var.state_bucket]
    STATE-KEY         = [for name in var.clusters : local.state_keys[name]]
    OBJECT-KEY        = var.state_kms_key_arn == null ? [] : [var.state_kms_key_arn]
    SUBNET            = var.subnet_ids
    VPC               = var.vpc_ids
    ENDPOINT          = var.instance_connect_endpoint_ids
    ZONE-ID           = data.aws_route53_zone.clusters[*].zone_id
    ZONE-NAME         = [for zone in data.aws_route53_zone.clusters : trimsuffix(zone.name, ".")]
    NODE-ROLE         = var.node_role_arns
    VOLUME-KEY        = var.volume_kms_key_arns
    BOUNDARY          = [local.boundary_arn]
    SNAPSHOT-BOUNDARY = [local.snapshot_boundary]
  }

  # Every text of a resource or a condition → the texts in its place, one for each combination of its placeholders'
  # values. A text is taken apart once, so that a value that looks like a placeholder stays what it is.
  placeholders = join("|", keys(local.values))
  texts = toset(flatten([
    for document in local.decoded : [
      for statement in document.Statement : [statement.Resource, [for keys in try(statement.Condition, {}) : values(keys)]]
    ]
  ]))
  filled = {
    for text in local.texts : text => [
      for parts in setproduct([""], [for part in regexall("${local.placeholders}|[^A-Z]+|[A-Z]", text) : lookup(local.values, part, [part])]...) : join("", parts)
    ]
  }

  documents = {
    for name, document in local.decoded : name => jsonencode({
      Version = document.Version
      Statement = [
        for statement in document.Statement : merge(
          statement,
          { Resource = flatten([for text in statement.Resource : local.filled[text]]) },
          {
            for element in ["Condition"] : element => {
              for operator, keys in statement[element] : operator => {
                for key, value in keys : key => flatten([for text in flatten([value]) : local.filled[text]])
              }
            } if can(statement[element])
          },
        )
      ]
    })
  }
}

data "aws_route53_zone" "clusters" {
  count = var.dns_zone_id == null ? 0 : 1

  zone_id = var.dns_zone_id
}

resource "aws_iam_policy" "github" {
  for_each = local.used

  name        = "${var.name}-${each.key}"
  description = "setup/aws/policies/${each.value.file}.json of the Postgres Cluster Action"
  policy      = local.documents[each.key]
  tags        = var.tags

  lifecycle {
    precondition {
      # IAM User Guide, "IAM and AWS STS quotas"; jsonencode writes no white space.
      condition     = length(local.documents[each.key]) <= 6144
      error_message = "The policy ${each.key} has ${length(local.documents[each.key])} characters, and AWS allows 6144. Give some of the ${length(var.clusters)} clusters roles of their own: apply this module once more, with another name and other environments."
    }
  }
}

resource "aws_iam_role_policy_attachment" "github" {
  for_each = local.used

  role       = aws_iam_role.github[each.value.role].name
  policy_arn = aws_iam_policy.github[each.key].arn
}
