# The bucket for the backups of the clusters, and what bounds the roles of their nodes.

locals {
  backup_buckets = var.backup_bucket != null && var.create_backup_bucket ? { backups = var.backup_bucket } : {}
  boundaries     = var.backup_bucket != null ? { nodes = "${var.name}-nodes" } : {}

  # The path of each cluster's repository in the bucket, with the slash at its end.
  backup_paths = [for name in var.clusters : "${join("/", compact([var.backup_prefix, name]))}/"]
}

resource "aws_s3_bucket" "backups" {
  for_each = local.backup_buckets

  bucket = each.value
  tags   = var.tags

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = data.aws_region.current.id == var.region
      error_message = "The provider works in ${data.aws_region.current.id} and region is ${var.region}. Set AWS_REGION=${var.region}."
    }
  }
}

# The nodes may delete objects, because backups expire, but no versions.
resource "aws_s3_bucket_versioning" "backups" {
  for_each = local.backup_buckets

  bucket = aws_s3_bucket.backups[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

# Nobody removes a locked version before its time, except with s3:BypassGovernanceRetention.
resource "aws_s3_bucket_object_lock_configuration" "backups" {
  for_each = var.backup_lock_days == null ? {} : local.backup_buckets

  bucket = aws_s3_bucket.backups[each.key].id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.backup_lock_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.backups]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "backups" {
  for_each = local.backup_buckets

  bucket = aws_s3_bucket.backups[each.key].id

  rule {
    bucket_key_enabled = var.backup_kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.backup_kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.backup_kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "backups" {
  for_each = local.backup_buckets

  bucket                  = aws_s3_bucket.backups[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "backups" {
  for_each = local.backup_buckets

  bucket = aws_s3_bucket.backups[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.backups[each.key].arn, "${aws_s3_bucket.backups[each.key].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 answers two changes of access to one bucket at a time with a conflict.
  depends_on = [aws_s3_bucket_public_access_block.backups]
}

# What pgBackRest deleted stays for a while as an old version. An upload that was interrupted is never finished.
resource "aws_s3_bucket_lifecycle_configuration" "backups" {
  for_each = local.backup_buckets

  bucket = aws_s3_bucket.backups[each.key].id

  rule {
    id     = "deleted-backups"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.backup_deleted_days
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # A rule about noncurrent versions needs versions.
  depends_on = [aws_s3_bucket_versioning.backups]
}

# The deploy role makes the roles of the nodes and chooses what they may do. It can choose no more than this, on the paths
# of these clusters, from instances of this account: not for itself.
resource "aws_iam_policy" "nodes" {
  for_each = local.boundaries

  name        = each.value
  description = "Permissions boundary of the roles of the nodes (Postgres Cluster Action)"
  tags        = var.tags
  policy      = local.boundary

  lifecycle {
    precondition {
      condition     = length(local.boundary) <= 6144
      error_message = "The policy ${each.value} has ${length(local.boundary)} characters, and AWS allows 6144. Give some of the ${length(var.clusters)} clusters roles of their own: apply this module once more, with another name and other environments."
    }
  }
}

locals {
  boundary_arn = "arn:aws:iam::${data.aws_caller_identity.current.account_id}:policy/${var.name}-nodes"
  backup_arn   = "arn:aws:s3:::${coalesce(var.backup_bucket, "-")}"

  # AWS gives this key to requests with the credentials of an instance (IAM User Guide, "AWS global condition context keys").
  from_instances = { ArnLike = { "ec2:SourceInstanceARN" = "arn:aws:ec2:${var.region}:${data.aws_caller_identity.current.account_id}:instance/*" } }

  boundary = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "List"
          Effect    = "Allow"
          Action    = ["s3:ListBucket"]
          Resource  = [local.backup_arn]
          Condition = merge(local.from_instances, { StringLike = { "s3:prefix" = [for path in local.backup_paths : "${path}*"] } })
        },
        {
          Sid       = "Use"
          Effect    = "Allow"
          Action    = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
          Resource  = [for path in local.backup_paths : "${local.backup_arn}/${path}*"]
          Condition = local.from_instances
        },
      ],
      [for key in compact([var.backup_kms_key_arn]) : {
        Sid       = "UseKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [key]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      }],
    )
  })
}
