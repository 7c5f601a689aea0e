# Access to the nodes: port 22 from ssh_cidrs and from the endpoint (endpoint.tf), port 5432 from client_cidrs and from the nodes themselves. Nothing else.

resource "aws_key_pair" "nodes" {
  # A prefix, so that two clusters with one name in one account do not collide, and so that a rotated key can be
  # created under a new name before the old one is deleted.
  key_name_prefix = "${var.cluster_name}-"
  public_key      = trimspace(var.ssh_public_key)

  tags = { Name = var.cluster_name }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "nodes" {
  name_prefix = "${var.cluster_name}-"
  description = "PostgreSQL cluster nodes"
  vpc_id      = local.vpc_ids[0]

  tags = { Name = var.cluster_name }

  lifecycle {
    # A group in use cannot be deleted, so the nodes move to the new one first.
    create_before_destroy = true

    # If the region changes, the provider keeps existing resources in their region and looks for the others in the new
    # one. Only the key pair and this group always exist, and a group cannot refer to itself.
    precondition {
      condition     = aws_key_pair.nodes.region == var.region
      error_message = "The cluster lives in ${aws_key_pair.nodes.region} and cannot move to ${var.region}. Give the new region a cluster of its own, with another cluster_name and another state."
    }

    precondition {
      condition     = length(local.vpc_ids) == 1
      error_message = "subnet_ids must all lie in one VPC; these lie in ${join(", ", local.vpc_ids)}. Choose subnets of one VPC."
    }
  }
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each = toset(var.ssh_cidrs)

  security_group_id = aws_security_group.nodes.id
  description       = "SSH"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22

  tags = { Name = "${var.cluster_name}-ssh" }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = toset(var.client_cidrs)

  security_group_id = aws_security_group.nodes.id
  description       = "PostgreSQL clients"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432

  tags = { Name = "${var.cluster_name}-clients" }
}

resource "aws_vpc_security_group_ingress_rule" "replication" {
  security_group_id            = aws_security_group.nodes.id
  description                  = "Replication among the nodes"
  referenced_security_group_id = aws_security_group.nodes.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432

  tags = { Name = "${var.cluster_name}-replication" }
}

# All outbound traffic is allowed: packages and images come from the internet.
resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.nodes.id
  description       = "Everything"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"

  tags = { Name = "${var.cluster_name}-egress" }
}
