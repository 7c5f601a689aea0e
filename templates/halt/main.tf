# Force-stops one instance, to fence an old primary that cannot be reached before a failover.
#
# It has its own directory and its own state, which is discarded. So it does not wait for the state lock of a run that
# died, does not fail because of other changes in the cluster, and does not appear in later plans.

terraform {
  required_version = ">= 1.5.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.8"
    }
  }
}

variable "region" {
  description = "Region of the instance."
  type        = string
}

variable "instance_id" {
  description = "ID of the instance to stop."
  type        = string
}

provider "aws" {
  region = var.region
}

resource "aws_ec2_instance_state" "node" {
  instance_id = var.instance_id
  state       = "stopped"

  # A normal stop waits for an operating system that hangs, and never completes on failed hardware. For the data this
  # is a power failure: everything that a commit requires is on disk.
  force = true

  # If the instance is already stopping, the provider first waits for that.
  timeouts {
    create = "2m"
  }
}
