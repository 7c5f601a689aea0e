# Either a VPC of the cluster's own, with one subnet in every zone, or existing subnets.

locals {
  own_network = length(var.subnet_ids) == 0

  # A subnet's index in the VPC is its zone's letter, so a change in the list of zones moves no subnet.
  zone_letters = split("", "abcdefghijklmnop")

  own_zones     = local.own_network ? toset(data.aws_availability_zones.regular.names) : toset([])
  given_subnets = { for id, subnet in data.aws_subnet.given : subnet.availability_zone => id... }

  # Zone → the subnet of its nodes. If several existing subnets are in one zone, the first by id is used, whatever
  # their order in subnet_ids: Terraform iterates over a map in the order of its keys.
  subnet_of_zone = merge(
    { for zone, subnet in aws_subnet.own : zone => subnet.id },
    { for zone, ids in local.given_subnets : zone => ids[0] },
  )

  vpc_ids = local.own_network ? [aws_vpc.own[0].id] : distinct([for subnet in data.aws_subnet.given : subnet.vpc_id])
}

# Zones in any state: a zone that is impaired for an hour must not cause a plan that destroys its subnet.
# Zones that require an opt-in (Local Zones, Wavelength Zones) are not used.
data "aws_availability_zones" "regular" {
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_subnet" "given" {
  for_each = toset(var.subnet_ids)

  id = each.value
}

resource "aws_vpc" "own" {
  count = local.own_network ? 1 : 0

  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.cluster_name }
}

resource "aws_subnet" "own" {
  for_each = local.own_zones

  vpc_id            = aws_vpc.own[0].id
  availability_zone = each.value
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, index(local.zone_letters, substr(each.value, -1, 1)))

  # The subnet assigns public addresses, not the instance: associate_public_ip_address of a stopped instance reads
  # as false, and the provider would replace the instance. An instance that exists keeps what it has.
  map_public_ip_on_launch = !local.own_nat

  tags = { Name = "${var.cluster_name}-${each.value}" }
}

resource "aws_internet_gateway" "own" {
  count = local.own_network ? 1 : 0

  vpc_id = aws_vpc.own[0].id

  tags = { Name = var.cluster_name }
}

resource "aws_route_table" "own" {
  count = local.own_network ? 1 : 0

  vpc_id = aws_vpc.own[0].id

  tags = { Name = var.cluster_name }
}

resource "aws_route" "internet" {
  count = local.own_network ? 1 : 0

  route_table_id         = aws_route_table.own[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = local.own_nat ? null : aws_internet_gateway.own[0].id
  nat_gateway_id         = local.own_nat ? aws_nat_gateway.own[0].id : null
}

resource "aws_route_table_association" "own" {
  for_each = aws_subnet.own

  route_table_id = aws_route_table.own[0].id
  subnet_id      = each.value.id
}
