# Daily snapshots of the data volumes, which Amazon Data Lifecycle Manager (DLM) makes and deletes by itself.

locals {
  # DLM takes each volume that bears one of its target tags. The root volumes bear Cluster as well, so the data volumes
  # get a tag of their own.
  snapshots_tag = { for snapshots in var.snapshots[*] : "SnapshotsOf" => var.cluster_name }
}

# Names are unique in the account, and a cluster of the same name may live in another region. At most 59 of 64
# characters. The path is what policies of a deploying role can name (setup/aws/policies).
resource "aws_iam_role" "snapshots" {
  count = var.snapshots == null ? 0 : 1

  name                 = "${var.cluster_name}-${var.region}-dlm"
  path                 = "/postgres-cluster/"
  description          = "Data Lifecycle Manager: snapshots of the data volumes of a PostgreSQL cluster"
  permissions_boundary = var.snapshots.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "dlm.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# What of AWS's own policy (AWSDataLifecycleManagerServiceRole) snapshots of volumes need, limited to this cluster. A
# snapshot has an ARN with or without an account.
resource "aws_iam_role_policy" "snapshots" {
  count = var.snapshots == null ? 0 : 1

  name = "snapshots"
  role = aws_iam_role.snapshots[0].name

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
        Resource  = ["arn:${local.partition}:ec2:${var.region}:*:volume/*"]
        Condition = { StringEquals = { for key, value in local.snapshots_tag : "aws:ResourceTag/${key}" => value } }
      },
      {
        Sid    = "MakeSnapshots"
        Effect = "Allow"
        # Which tags DLM sets in which call is not documented, so they are no condition.
        Action   = ["ec2:CreateSnapshot", "ec2:CreateTags"]
        Resource = ["arn:${local.partition}:ec2:${var.region}:*:snapshot/*"]
      },
      {
        Sid      = "DeleteSnapshots"
        Effect   = "Allow"
        Action   = ["ec2:DeleteSnapshot"]
        Resource = ["arn:${local.partition}:ec2:${var.region}:*:snapshot/*"]
        # Copied from the volume (copy_tags below), and set by DLM itself: nobody else can set a tag that begins with aws:, so
        # the last snapshots of removed volumes are safe.
        Condition = {
          StringEquals = { "aws:ResourceTag/Cluster" = var.cluster_name }
          StringLike   = { "aws:ResourceTag/aws:dlm:lifecycle-policy-id" = "*" }
        }
      },
      ], flatten([for key in compact([var.kms_key_id]) : [
        # Snapshots of volumes with a key of the account's own (EBS User Guide, "Permissions for encryption" of DLM).
        {
          Sid       = "UseKey"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"]
          Resource  = [key]
          Condition = { StringEquals = { "kms:ViaService" = "ec2.${var.region}.amazonaws.com" } }
        },
        {
          Sid      = "GrantKey"
          Effect   = "Allow"
          Action   = ["kms:CreateGrant"]
          Resource = [key]
          Condition = {
            Bool         = { "kms:GrantIsForAWSResource" = "true" }
            StringEquals = { "kms:ViaService" = "ec2.${var.region}.amazonaws.com" }
          }
        },
    ]]))
  })
}

# Destroying it deletes no snapshot. DLM does not tell snapshots that it made under another name of the schedule: the
# name never changes.
resource "aws_dlm_lifecycle_policy" "snapshots" {
  count = var.snapshots == null ? 0 : 1

  description        = "Daily snapshots of the data volumes of ${var.cluster_name}"
  execution_role_arn = aws_iam_role.snapshots[0].arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["VOLUME"]
    target_tags    = local.snapshots_tag

    schedule {
      name      = "daily"
      copy_tags = true

      create_rule {
        interval      = 24
        interval_unit = "HOURS"
        times         = [var.snapshots.time]
      }

      # By count, not by age: a snapshot is deleted only when there is a newer one.
      retain_rule {
        count = var.snapshots.keep
      }
    }
  }

  tags = { Name = "${var.cluster_name}-snapshots" }

  # Without its permissions the role makes no snapshot.
  depends_on = [aws_iam_role_policy.snapshots]
}
