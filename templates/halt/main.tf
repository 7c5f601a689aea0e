# Stops one instance by force: the fence of a failover whose old primary cannot be reached.
#
# It has a directory and a state of its own, which nobody keeps. So it neither waits for the lock of a run that died
# nor trips over anything else that changed in the cluster, and no later plan finds it.

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
  description = "The instance to stop."
  type        = string
}

provider "aws" {
  region = var.region
}

resource "aws_ec2_instance_state" "node" {
  instance_id = var.instance_id
  state       = "stopped"

  # An orderly stop waits for a system that hangs, and never ends on sick hardware. What had to be on disk for a
  # commit is there: this is a power failure, as far as the data is concerned.
  force = true

  # Of an instance that is stopping already: the provider waits for that before it does anything.
  timeouts {
    create = "2m"
  }
}
