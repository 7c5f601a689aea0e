# The way to SSH without an open port: an EC2 Instance Connect Endpoint, which connects to private addresses. AWS allows
# one in each VPC, so an existing one can be given instead.

locals {
  via_endpoint = var.ssh_via == "instance-connect-endpoint"
  own_endpoint = local.via_endpoint && var.instance_connect_endpoint_id == null

  # The groups from which connections through the endpoint come. Its address is not known, as it keeps no client's.
  endpoint_groups = merge(
    { for group in aws_security_group.endpoint : "own" => group.id },
    { for id in local.via_endpoint && !local.own_endpoint ? var.instance_connect_endpoint_groups : [] : id => id },
  )
}

# Rules are separate resources: the group of the nodes and that of the endpoint refer to each other.
resource "aws_security_group" "endpoint" {
  count = local.own_endpoint ? 1 : 0

  name_prefix = "${var.cluster_name}-endpoint-"
  description = "EC2 Instance Connect Endpoint of a PostgreSQL cluster"
  vpc_id      = local.vpc_ids[0]

  tags = { Name = "${var.cluster_name}-endpoint" }
}

resource "aws_vpc_security_group_egress_rule" "endpoint" {
  count = local.own_endpoint ? 1 : 0

  security_group_id            = aws_security_group.endpoint[0].id
  description                  = "SSH to the nodes"
  referenced_security_group_id = aws_security_group.nodes.id
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22

  tags = { Name = "${var.cluster_name}-endpoint" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  for_each = local.endpoint_groups

  security_group_id            = aws_security_group.nodes.id
  description                  = "SSH through the endpoint"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22

  tags = { Name = "${var.cluster_name}-endpoint" }
}

# It can never be created before the old one is destroyed, so no resource with create_before_destroy may depend on it.
resource "aws_ec2_instance_connect_endpoint" "own" {
  count = local.own_endpoint ? 1 : 0

  # In the zone of a new node 1; without a reference to its volume, so that the volume can be destroyed alone.
  subnet_id          = try(local.subnet_of_zone[local.node_zones[0]], values(local.subnet_of_zone)[0])
  security_group_ids = [aws_security_group.endpoint[0].id]

  # If it were true, the nodes would have to admit the addresses of the runners.
  preserve_client_ip = false

  tags = { Name = var.cluster_name }

  lifecycle {
    # It reaches every subnet of the VPC. Another subnet would replace it, which takes minutes without a way to the nodes.
    ignore_changes = [subnet_id]

    # It cannot move to another VPC.
    replace_triggered_by = [aws_security_group.endpoint[0].vpc_id]
  }
}
