# The way to the bucket of the backups: a role of the nodes that reaches the cluster's own path, and S3 without a NAT
# gateway. With instance_profile, the team's own role has the permissions instead.

locals {
  own_role = (var.backup != null || var.restore_from != null) && var.instance_profile == null

  # The profile of the nodes; null keeps what an instance has.
  instance_profile = local.own_role ? aws_iam_instance_profile.nodes[0].name : var.instance_profile

  partition = startswith(var.region, "cn-") ? "aws-cn" : startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"

  # The repositories, by what they are for. A path ends with a slash: orders must not match orders-archive.
  repositories = merge(
    { for backup in var.backup[*] : "Own" => {
      bucket  = backup.bucket
      path    = "${join("/", compact([backup.prefix, var.cluster_name]))}/"
      actions = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    } },
    { for source in var.restore_from[*] : "Source" => {
      bucket  = source.bucket
      path    = "${join("/", compact([source.prefix, source.cluster]))}/"
      actions = ["s3:GetObject"]
    } },
  )

  # The keys of their objects. The source is only read, and its key may be the own one.
  own_key    = one(var.backup[*].kms_key_id)
  source_key = one(var.restore_from[*].kms_key_id)
  keys = merge(
    { for key in compact([local.own_key]) : "UseKey" => { arn = key, actions = ["kms:Decrypt", "kms:GenerateDataKey"] } },
    { for key in compact([local.source_key]) : "ReadKey" => { arn = key, actions = ["kms:Decrypt"] } if key != local.own_key },
  )
}

# Names are unique in the account, and a cluster of the same name may live in another region. At most 61 of 64
# characters. The path is what policies of a deploying role can name (setup/aws/policies).
resource "aws_iam_role" "nodes" {
  count = local.own_role ? 1 : 0

  name                 = "${var.cluster_name}-${var.region}-nodes"
  path                 = "/postgres-cluster/"
  description          = "Nodes of a PostgreSQL cluster: their backups"
  permissions_boundary = try(coalesce(one(var.backup[*].permissions_boundary), one(var.restore_from[*].permissions_boundary)), null)

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# What pgBackRest calls (its User Guide, "S3-Compatible Object Store Support"). It writes no tags, reads no old versions
# and never aborts an upload: the bucket's lifecycle rule removes the rest of one.
resource "aws_iam_role_policy" "nodes" {
  count = local.own_role ? 1 : 0

  name = "backups"
  role = aws_iam_role.nodes[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      flatten([for kind, repository in local.repositories : [
        {
          Sid      = "List${kind}"
          Effect   = "Allow"
          Action   = ["s3:ListBucket"]
          Resource = ["arn:${local.partition}:s3:::${repository.bucket}"]
          # It also holds for an object that does not exist: S3 then compares the object's key, and answers 404.
          Condition = { StringLike = { "s3:prefix" = ["${repository.path}*"] } }
        },
        {
          Sid      = "Use${kind}"
          Effect   = "Allow"
          Action   = repository.actions
          Resource = ["arn:${local.partition}:s3:::${repository.bucket}/${repository.path}*"]
        },
      ]]),
      [for sid, key in local.keys : {
        Sid    = sid
        Effect = "Allow"
        Action = key.actions
        # IAM grants nothing on an alias. It is a condition on the keys of its account.
        Resource = [replace(key.arn, "/:alias/.*$/", ":key/*")]
        Condition = merge(
          { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } },
          { for alias in regexall("alias/.*$", key.arn) : "ForAnyValue:StringEquals" => { "kms:ResourceAliases" = alias } },
        )
      }],
    )
  })
}

resource "aws_iam_instance_profile" "nodes" {
  count = local.own_role ? 1 : 0

  # An instance keeps the association with a profile that was deleted, and a new profile of that name is not the same
  # one: the instance would get no credentials, and Terraform would see no difference.
  name_prefix = "${var.cluster_name}-${var.region}-nodes-"
  path        = "/postgres-cluster/"
  role        = aws_iam_role.nodes[0].name

  # Nodes get no credentials without permissions.
  depends_on = [aws_iam_role_policy.nodes]
}

# It is free. Without it, nodes behind a NAT gateway pay for each byte of their backups.
resource "aws_vpc_endpoint" "s3" {
  count = local.own_network && (var.backup != null || var.restore_from != null) ? 1 : 0

  vpc_id            = aws_vpc.own[0].id
  vpc_endpoint_type = "Gateway"
  service_name      = "com.amazonaws.${var.region}.s3"
  route_table_ids   = [aws_route_table.own[0].id]

  tags = { Name = "${var.cluster_name}-s3" }
}
