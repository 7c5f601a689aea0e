terraform {
  required_version = ">= 1.5.6"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.8 is the first release whose aws_instance has force_destroy (see nodes.tf).
      version = "~> 6.8"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge(
      var.tags,
      {
        Cluster   = var.cluster_name
        ManagedBy = "postgres-cluster-action"
      },
      # What bears it may be destroyed without a person's word.
      { for cluster in var.rehearsal_of[*] : "RehearsalOf" => cluster },
    )
  }
}
