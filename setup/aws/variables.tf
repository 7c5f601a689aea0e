variable "repositories" {
  description = "Repositories whose workflows may use the roles, as OWNER/REPO or, if GitHub puts ids into their subject (created, renamed or transferred after 15 July 2026), as OWNER@OWNER-ID/REPO@REPO-ID"
  type        = list(string)

  validation {
    # No * and no ?: a trust condition names every repository in full.
    condition     = length(var.repositories) > 0 && alltrue([for name in var.repositories : can(regex("^[A-Za-z0-9-]+(/[A-Za-z0-9._-]+|@[0-9]+/[A-Za-z0-9._-]+@[0-9]+)$", name))])
    error_message = "repositories must be names like me/databases or me@583231/databases@1296269, without wildcards."
  }
}

variable "plan_environments" {
  description = "GitHub environments whose jobs may use the plan role"
  type        = list(string)
  default     = ["plan"]

  validation {
    condition     = length(var.plan_environments) > 0 && alltrue([for name in var.plan_environments : can(regex("^[A-Za-z0-9._-]+$", name))])
    error_message = "plan_environments must be at least one name of letters, digits, dots, dashes and underscores."
  }
}

variable "deploy_environments" {
  description = "GitHub environments whose jobs may use the deploy role"
  type        = list(string)
  default     = ["production"]

  validation {
    condition     = length(var.deploy_environments) > 0 && alltrue([for name in var.deploy_environments : can(regex("^[A-Za-z0-9._-]+$", name))])
    error_message = "deploy_environments must be at least one name of letters, digits, dots, dashes and underscores."
  }
}

variable "clusters" {
  description = "Names of the clusters (cluster_name) that the roles may plan and deploy"
  type        = list(string)

  validation {
    condition     = length(var.clusters) > 0 && alltrue([for name in var.clusters : can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", name))])
    error_message = "clusters must be at least one cluster_name: 2 to 40 lower-case letters, digits and dashes."
  }
}

variable "region" {
  description = "Region of the clusters and of the state bucket; the provider must be in the same one"
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, for example eu-west-1."
  }
}

variable "state_bucket" {
  description = "Name of the bucket for Terraform's state; it must be unique among all buckets of AWS"
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket must be 3 to 63 lower-case letters, digits, dots and dashes."
  }
}

variable "create_state_bucket" {
  description = "Whether to create the bucket; false for one that exists"
  type        = bool
  default     = true
}

variable "state_prefix" {
  description = "Folder of the states in the bucket: the key of a cluster is <state_prefix>/<cluster>.tfstate"
  type        = string
  default     = "postgres"

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.state_prefix))
    error_message = "state_prefix must be a path of letters, digits, dots, dashes and underscores, for example postgres."
  }
}

variable "state_kms_key_arn" {
  description = "ARN of the KMS key of the bucket; null for S3's own encryption. Its key policy must leave permissions to IAM"
  type        = string
  default     = null

  validation {
    condition     = var.state_kms_key_arn == null || can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.state_kms_key_arn))
    error_message = "state_kms_key_arn must be the ARN of a key, for example arn:aws:kms:eu-west-1:123456789012:key/1234abcd-…"
  }
}

variable "backup_bucket" {
  description = "Name of the bucket for the backups of the clusters (bucket of backup in the cluster file), in the same region; null for none. With it come the permissions boundary of the nodes and what the roles need for it"
  type        = string
  default     = null

  validation {
    condition     = var.backup_bucket == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.backup_bucket))
    error_message = "backup_bucket must be 3 to 63 lower-case letters, digits and dashes."
  }
}

variable "create_backup_bucket" {
  description = "Whether to create the bucket of the backups; false for one that exists"
  type        = bool
  default     = true
}

variable "backup_prefix" {
  description = "Folder of the backups in the bucket (prefix of backup in the cluster file)"
  type        = string
  default     = ""

  validation {
    condition     = length(var.backup_prefix) <= 200 && can(regex("^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$", var.backup_prefix))
    error_message = "backup_prefix must be empty or a path of letters, digits, dots, dashes and underscores, for example postgres."
  }
}

variable "backup_kms_key_arn" {
  description = "ARN of the KMS key of the backups (kms_key_id of backup in the cluster file); null for S3's own encryption. Its key policy must leave permissions to IAM"
  type        = string
  default     = null

  validation {
    condition     = var.backup_kms_key_arn == null || can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.backup_kms_key_arn))
    error_message = "backup_kms_key_arn must be the ARN of a key, for example arn:aws:kms:eu-west-1:123456789012:key/1234abcd-…"
  }
}

variable "backup_deleted_days" {
  description = "Days for which the bucket keeps what was deleted or overwritten as an old version"
  type        = number
  default     = 30

  validation {
    condition     = var.backup_deleted_days >= 1 && var.backup_deleted_days <= 3650 && floor(var.backup_deleted_days) == var.backup_deleted_days
    error_message = "backup_deleted_days must be a whole number of days from 1 to 3650."
  }
}

variable "backup_lock_days" {
  description = "Days for which nobody can remove a version of an object (S3 Object Lock, governance mode); null for no lock. A bucket that has a lock keeps it for ever: with null, only its default time ends"
  type        = number
  default     = null

  validation {
    condition     = var.backup_lock_days == null ? true : var.backup_lock_days >= 1 && var.backup_lock_days <= 3650 && floor(var.backup_lock_days) == var.backup_lock_days
    error_message = "backup_lock_days must be a whole number of days from 1 to 3650."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the account's OIDC provider for token.actions.githubusercontent.com, if it has one; null creates it"
  type        = string
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null || can(regex("^arn:aws:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn must be arn:aws:iam::<account>:oidc-provider/token.actions.githubusercontent.com."
  }
}

variable "name" {
  description = "Beginning of the names of roles and policies"
  type        = string
  default     = "postgres-cluster"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,40}$", var.name))
    error_message = "name must be 1 to 40 letters, digits, dashes and underscores."
  }
}

variable "deploy_session_seconds" {
  description = "Longest session of the deploy role: longer than the job's timeout, or Terraform could not save its state"
  type        = number
  default     = 7200

  validation {
    condition     = var.deploy_session_seconds >= 3600 && var.deploy_session_seconds <= 43200
    error_message = "deploy_session_seconds must be 3600 to 43200 (1 to 12 hours)."
  }
}

variable "tags" {
  description = "Tags of everything that this module creates"
  type        = map(string)
  default     = {}
}

# The rest is only for clusters that use the key of the cluster file of which the description speaks.

variable "subnet_ids" {
  description = "subnet_ids of the clusters"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids must be ids of subnets, for example subnet-0a1b2c3d."
  }
}

variable "vpc_ids" {
  description = "The VPCs of subnet_ids"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.vpc_ids : can(regex("^vpc-[0-9a-f]+$", id))])
    error_message = "vpc_ids must be ids of VPCs, for example vpc-0a1b2c3d."
  }
}

variable "instance_connect_endpoint_ids" {
  description = "instance_connect_endpoint_id of the clusters"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.instance_connect_endpoint_ids : can(regex("^eice-[0-9a-f]+$", id))])
    error_message = "instance_connect_endpoint_ids must be ids of endpoints, for example eice-0a1b2c3d."
  }
}

variable "dns_zone_id" {
  description = "dns_zone_id of the clusters"
  type        = string
  default     = null

  validation {
    condition     = var.dns_zone_id == null || can(regex("^[A-Z0-9]{1,32}$", var.dns_zone_id))
    error_message = "dns_zone_id must be the id of a hosted zone, for example Z0123456789ABCDEFGHIJ."
  }
}

variable "node_role_arns" {
  description = "ARNs of the roles in the profiles that instance_profile of the clusters names"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.node_role_arns : can(regex("^arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "node_role_arns must be ARNs of roles, without wildcards."
  }
}

variable "snapshots" {
  description = "Whether the clusters may have daily snapshots (snapshots in the cluster file): makes the permissions boundary of the roles for them, and what the roles need"
  type        = bool
  default     = false
}

variable "volume_kms_key_arns" {
  description = "kms_key_id of the clusters"
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.volume_kms_key_arns : can(regex("^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "volume_kms_key_arns must be ARNs of keys, for example arn:aws:kms:eu-west-1:123456789012:key/1234abcd-…"
  }
}
