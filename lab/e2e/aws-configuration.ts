/**
 * Two machines, one of them with a volume; a private one behind a NAT gateway; and a group for a way in through an
 * endpoint. `runner` may reach port 22.
 */
export const configuration = ({ publicKey, runner }: { publicKey: string; runner: string }) => `
provider "aws" {
  region = "us-east-1"
}
data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}
resource "aws_vpc" "lab" {
  cidr_block = "10.43.0.0/16"
}
resource "aws_subnet" "lab" {
  vpc_id                  = aws_vpc.lab.id
  cidr_block              = "10.43.1.0/24"
  availability_zone       = "us-east-1a"
  map_public_ip_on_launch = true
}
resource "aws_internet_gateway" "lab" {
  vpc_id = aws_vpc.lab.id
}
resource "aws_route_table" "lab" {
  vpc_id = aws_vpc.lab.id
}
resource "aws_route" "internet" {
  route_table_id         = aws_route_table.lab.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.lab.id
}
resource "aws_route_table_association" "lab" {
  route_table_id = aws_route_table.lab.id
  subnet_id      = aws_subnet.lab.id
}
resource "aws_subnet" "private" {
  vpc_id            = aws_vpc.lab.id
  cidr_block        = "10.43.2.0/24"
  availability_zone = "us-east-1a"
}
resource "aws_eip" "nat" {
  domain     = "vpc"
  depends_on = [aws_internet_gateway.lab]
}
resource "aws_nat_gateway" "lab" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.lab.id
  depends_on    = [aws_route.internet, aws_route_table_association.lab]
}
resource "aws_route_table" "private" {
  vpc_id = aws_vpc.lab.id
}
resource "aws_route" "nat" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.lab.id
}
resource "aws_route_table_association" "private" {
  route_table_id = aws_route_table.private.id
  subnet_id      = aws_subnet.private.id
}
resource "aws_instance" "private" {
  ami                    = data.aws_ami.debian.id
  instance_type          = "t3.small"
  subnet_id              = aws_subnet.private.id
  vpc_security_group_ids = [aws_security_group.lab.id]
  key_name               = aws_key_pair.lab.key_name
  tags                   = { Name = "private" }
  depends_on             = [aws_route.nat, aws_route_table_association.private]
}
resource "aws_security_group" "lab" {
  name   = "lab"
  vpc_id = aws_vpc.lab.id
}
resource "aws_vpc_security_group_ingress_rule" "ssh" {
  security_group_id = aws_security_group.lab.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = "${runner}"
}
resource "aws_vpc_security_group_ingress_rule" "among" {
  security_group_id            = aws_security_group.lab.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  referenced_security_group_id = aws_security_group.lab.id
}
resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.lab.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
resource "aws_security_group" "endpoint" {
  name   = "endpoint"
  vpc_id = aws_vpc.lab.id
}
resource "aws_ec2_instance_connect_endpoint" "lab" {
  subnet_id          = aws_subnet.lab.id
  security_group_ids = [aws_security_group.endpoint.id]
  preserve_client_ip = false
}
resource "aws_vpc_security_group_egress_rule" "endpoint" {
  security_group_id            = aws_security_group.endpoint.id
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22
  referenced_security_group_id = aws_security_group.lab.id
}
resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  security_group_id            = aws_security_group.lab.id
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22
  referenced_security_group_id = aws_security_group.endpoint.id
}
resource "aws_key_pair" "lab" {
  key_name   = "lab"
  public_key = "${publicKey.trim()}"
}
resource "aws_instance" "node" {
  for_each               = toset(["1", "2"])
  ami                    = data.aws_ami.debian.id
  instance_type          = "t3.small"
  subnet_id              = aws_subnet.lab.id
  vpc_security_group_ids = [aws_security_group.lab.id]
  key_name               = aws_key_pair.lab.key_name
  tags                   = { Name = "node-\${each.key}" }
}
resource "aws_ebs_volume" "data" {
  availability_zone = "us-east-1a"
  size              = 1
  type              = "gp3"
}
resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  instance_id = aws_instance.node["1"].id
  volume_id   = aws_ebs_volume.data.id
}
`;
