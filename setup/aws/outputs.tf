output "plan_role_arn" {
  description = "AWS_ROLE of the environment plan"
  value       = aws_iam_role.github["plan"].arn
}

output "deploy_role_arn" {
  description = "AWS_ROLE of the environment production"
  value       = aws_iam_role.github["deploy"].arn
}

output "state_bucket" {
  description = "Bucket of the states"
  value       = var.state_bucket

  # A role is of use only with its policies, and the bucket only with its settings.
  depends_on = [
    aws_iam_role_policy_attachment.github,
    aws_s3_bucket_policy.state,
    aws_s3_bucket_versioning.state,
  ]
}

output "backend_config" {
  description = "Lines for each cluster file"
  value = {
    for name, key in local.state_keys : name => join("\n", concat(
      ["backend: s3", "backend_config:", "  bucket: ${var.state_bucket}", "  key: ${key}", "  region: ${var.region}"],
      var.state_kms_key_arn == null ? [] : ["  kms_key_id: ${var.state_kms_key_arn}"],
    ))
  }
}

output "backup_bucket" {
  description = "Bucket of the backups; null without one"
  value       = var.backup_bucket

  # It is of use only with its settings.
  depends_on = [
    aws_s3_bucket_lifecycle_configuration.backups,
    aws_s3_bucket_object_lock_configuration.backups,
    aws_s3_bucket_policy.backups,
    aws_s3_bucket_server_side_encryption_configuration.backups,
    aws_s3_bucket_versioning.backups,
  ]
}

output "node_boundary_arn" {
  description = "Permissions boundary of the nodes' roles; null without a bucket of backups"
  value       = one([for policy in aws_iam_policy.nodes : policy.arn])
}

output "backup_config" {
  description = "Lines for each cluster file; null without a bucket of backups"
  value = var.backup_bucket == null ? null : join("\n", concat(
    ["backup:", "  bucket: ${var.backup_bucket}"],
    var.backup_prefix == "" ? [] : ["  prefix: ${var.backup_prefix}"],
    var.backup_kms_key_arn == null ? [] : ["  kms_key_id: ${var.backup_kms_key_arn}"],
    [for policy in aws_iam_policy.nodes : "  permissions_boundary: ${policy.arn}"],
  ))
}

output "snapshots_config" {
  description = "Lines for each cluster file with daily snapshots; null without them"
  value       = one([for policy in aws_iam_policy.snapshots : "snapshots:\n  permissions_boundary: ${policy.arn}"])
}

output "github_command" {
  description = "The second command, for the first repository; run it in the folder setup"
  value = join(" ", [
    "./github.sh --repository ${replace(var.repositories[0], "/@[0-9]+/", "")}",
    "--plan-role ${aws_iam_role.github["plan"].arn}",
    "--deploy-role ${aws_iam_role.github["deploy"].arn}",
  ])
}
