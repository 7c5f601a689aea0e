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

output "github_command" {
  description = "The second command, for the first repository; run it in the folder setup"
  value = join(" ", [
    "./github.sh --repository ${replace(var.repositories[0], "/@[0-9]+/", "")}",
    "--plan-role ${aws_iam_role.github["plan"].arn}",
    "--deploy-role ${aws_iam_role.github["deploy"].arn}",
  ])
}
