terraform {
  required_version = ">= 1.5.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

# The provider takes credentials and region from the environment (AWS_PROFILE, AWS_REGION, …), or from the configuration
# that calls this module.

data "aws_caller_identity" "current" {}
