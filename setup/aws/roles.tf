# GitHub's jobs get credentials by OpenID Connect: a role trusts one repository and environment, and nobody else.

locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = var.oidc_provider_arn != null ? var.oidc_provider_arn : aws_iam_openid_connect_provider.github[0].arn

  roles = {
    plan = {
      environments = var.plan_environments
      session      = 3600
      description  = "Plans PostgreSQL clusters: reads EC2 and the state"
    }
    deploy = {
      environments = var.deploy_environments
      session      = var.deploy_session_seconds
      description  = "Deploys PostgreSQL clusters"
    }
  }
}

# AWS allows one provider per address and account. It verifies GitHub's certificate by its own list of authorities, so
# no thumbprint is needed (IAM User Guide, "Create an OpenID Connect (OIDC) identity provider in IAM").
resource "aws_iam_openid_connect_provider" "github" {
  count = var.oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
  tags           = var.tags
}

resource "aws_iam_role" "github" {
  for_each = local.roles

  name                 = "${var.name}-${each.key}"
  description          = each.value.description
  max_session_duration = each.value.session
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        # StringEquals knows no wildcards. A job without an environment has another subject.
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = [
            for pair in setproduct(var.repositories, each.value.environments) : "repo:${pair[0]}:environment:${pair[1]}"
          ]
        }
      }
    }]
  })

  lifecycle {
    precondition {
      condition     = length(setintersection(var.plan_environments, var.deploy_environments)) == 0
      error_message = "An environment must not be in both plan_environments and deploy_environments: a plan could deploy."
    }
  }
}
