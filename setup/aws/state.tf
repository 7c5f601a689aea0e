# The bucket for the states of the clusters. Losing a state means that Terraform no longer knows the cluster.

locals {
  state_keys = { for name in var.clusters : name => "${var.state_prefix}/${name}.tfstate" }
  bucket     = var.create_state_bucket ? { state = var.state_bucket } : {}
}

resource "aws_s3_bucket" "state" {
  for_each = local.bucket

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

data "aws_region" "current" {}

resource "aws_s3_bucket_versioning" "state" {
  for_each = local.bucket

  bucket = aws_s3_bucket.state[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  for_each = local.bucket

  bucket = aws_s3_bucket.state[each.key].id

  rule {
    bucket_key_enabled = var.state_kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.state_kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.state_kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  for_each = local.bucket

  bucket                  = aws_s3_bucket.state[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "state" {
  for_each = local.bucket

  bucket = aws_s3_bucket.state[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.state[each.key].arn, "${aws_s3_bucket.state[each.key].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 answers two changes of access to one bucket at a time with a conflict.
  depends_on = [aws_s3_bucket_public_access_block.state]
}

# Old versions cost little, but every apply leaves one, and each lock two.
resource "aws_s3_bucket_lifecycle_configuration" "state" {
  for_each = local.bucket

  bucket = aws_s3_bucket.state[each.key].id

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      newer_noncurrent_versions = 20
      noncurrent_days           = 90
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # A rule about noncurrent versions needs versions.
  depends_on = [aws_s3_bucket_versioning.state]
}
