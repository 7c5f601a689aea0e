# What bounds the roles with which Data Lifecycle Manager makes snapshots of the clusters' data volumes.

locals {
  snapshot_boundaries = var.snapshots ? { snapshots = "${var.name}-snapshots" } : {}
  snapshot_boundary   = "arn:aws:iam::${data.aws_caller_identity.current.account_id}:policy/${var.name}-snapshots"

  # AWS writes the ARN of a snapshot without an account.
  snapshot_arns = ["arn:aws:ec2:${var.region}:*:snapshot/*"]
}

resource "aws_iam_policy" "snapshots" {
  for_each = local.snapshot_boundaries

  name        = each.value
  description = "Bounds what the roles for snapshots of PostgreSQL clusters may do"
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Find"
        Effect   = "Allow"
        Action   = ["ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"]
        Resource = ["*"]
      },
      {
        Sid       = "SnapshotVolumes"
        Effect    = "Allow"
        Action    = ["ec2:CreateSnapshot"]
        Resource  = ["arn:aws:ec2:${var.region}:*:volume/*"]
        Condition = { StringEquals = { "aws:ResourceTag/SnapshotsOf" = var.clusters } }
      },
      {
        Sid      = "MakeSnapshots"
        Effect   = "Allow"
        Action   = ["ec2:CreateSnapshot", "ec2:CreateTags"]
        Resource = local.snapshot_arns
      },
      {
        Sid      = "DeleteSnapshots"
        Effect   = "Allow"
        Action   = ["ec2:DeleteSnapshot"]
        Resource = local.snapshot_arns
        # DLM sets the second tag, and nobody else can.
        Condition = {
          StringEquals = { "aws:ResourceTag/Cluster" = var.clusters }
          StringLike   = { "aws:ResourceTag/aws:dlm:lifecycle-policy-id" = "*" }
        }
      },
      ], [for keys in length(var.volume_kms_key_arns) == 0 ? [] : [var.volume_kms_key_arns] : {
        Sid       = "UseKeys"
        Effect    = "Allow"
        Action    = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
        Resource  = keys
        Condition = { StringEquals = { "kms:ViaService" = "ec2.${var.region}.amazonaws.com" } }
    }])
  })
}
