# Internet access of nodes without public addresses, in a VPC of the cluster's own: a NAT gateway in one public subnet.
# The nodes need it for packages and images. The databases do not use it, so one gateway in one zone is enough.

locals {
  own_nat = local.own_network && var.internet_via == "nat-gateway"
}

resource "aws_subnet" "public" {
  count = local.own_nat ? 1 : 0

  vpc_id            = aws_vpc.own[0].id
  availability_zone = try(local.node_zones[0], null)

  # The sixteenth part of the VPC: no region has a zone with the letter p.
  cidr_block = cidrsubnet(var.vpc_cidr, 4, 15)

  # Its only public address is that of the gateway.
  map_public_ip_on_launch = false

  tags = { Name = "${var.cluster_name}-public" }

  lifecycle {
    # The gateway serves every zone. Another one would replace it, and with it the address that others may have allowed.
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "public" {
  count = local.own_nat ? 1 : 0

  vpc_id = aws_vpc.own[0].id

  tags = { Name = "${var.cluster_name}-public" }
}

resource "aws_route" "public" {
  count = local.own_nat ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.own[0].id
}

resource "aws_route_table_association" "public" {
  count = local.own_nat ? 1 : 0

  route_table_id = aws_route_table.public[0].id
  subnet_id      = aws_subnet.public[0].id
}

resource "aws_eip" "nat" {
  count = local.own_nat ? 1 : 0

  domain = "vpc"

  tags = { Name = "${var.cluster_name}-nat" }

  # On destruction, the internet gateway cannot be detached from a VPC while public addresses are still mapped.
  depends_on = [aws_internet_gateway.own]
}

resource "aws_nat_gateway" "own" {
  count = local.own_nat ? 1 : 0

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public[0].id

  tags = { Name = var.cluster_name }

  # It has internet access from its start.
  depends_on = [aws_route.public, aws_route_table_association.public]
}
