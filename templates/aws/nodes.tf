# Nodes are equal: only the running databases know which of them is the primary.

locals {
  # Nodes that leave are kept until their databases have been stopped.
  numbers = [
    for number in range(1, 17) : number
    if(number <= var.replica_count + 1 || contains(var.kept_nodes, tostring(number))) && !contains(var.absent_nodes, tostring(number))
  ]
  nodes = { for number in local.numbers : tostring(number) => number }

  architecture = contains(data.aws_ec2_instance_type.nodes.supported_architectures, "arm64") ? "arm64" : "x86_64"

  # Not every zone offers every instance type.
  offered_zones = toset(data.aws_ec2_instance_type_offerings.nodes.locations)
  node_zones    = sort(setsubtract(setintersection(keys(local.subnet_of_zone), local.offered_zones), var.avoid_zones))
}

data "aws_ec2_instance_type" "nodes" {
  instance_type = var.instance_type
}

data "aws_ec2_instance_type_offerings" "nodes" {
  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [var.instance_type]
  }
}

# The newest Debian 13 from Debian's own account (https://wiki.debian.org/Cloud/AmazonEC2Image/Trixie).
data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]

  filter {
    name   = "name"
    values = [local.architecture == "arm64" ? "debian-13-arm64-*" : "debian-13-amd64-*"]
  }

  filter {
    name   = "architecture"
    values = [local.architecture]
  }

  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

# The data outlives the instance: the volume determines the zone, and the instance is placed there.
resource "aws_ebs_volume" "data" {
  for_each = local.nodes

  availability_zone = element(local.node_zones, each.value - 1)
  type              = "gp3"
  size              = var.data_volume_size
  encrypted         = true
  kms_key_id        = var.kms_key_id

  # Size, IOPS and throughput change in place, while the volume is in use. The provider computes the last two if they
  # are null: a volume keeps what it has.
  iops       = var.data_volume_iops
  throughput = var.data_volume_throughput

  # Destroying a volume leaves a snapshot, also when replica_count is reduced.
  final_snapshot = var.final_snapshot

  # The snapshot is taken while the volume is deleted, and can take longer than the provider's default of ten
  # minutes. A volume that was created without this timeout gets it at its next change.
  timeouts {
    delete = "3h"
  }

  tags = merge(local.snapshots_tag, {
    Name = "${var.cluster_name}-node-${each.key}-data"
    Node = "node-${each.key}"

    # The architecture that wrote the data: a server of another one must not open the data directory.
    Architecture = local.architecture
  })

  lifecycle {
    # These are fixed when the volume is created. If the values they are computed from change later, the volume must
    # not be replaced, nor its tag rewritten. A volume keeps its key; only new volumes have another one.
    ignore_changes = [availability_zone, encrypted, kms_key_id, tags["Architecture"]]

    precondition {
      condition     = length(local.node_zones) > 0
      error_message = "No subnet lies in a zone that offers ${var.instance_type} (zones of the subnets: ${join(", ", keys(local.subnet_of_zone))}; zones that offer it: ${join(", ", local.offered_zones)}${length(var.avoid_zones) > 0 ? "; avoid_zones: ${join(", ", var.avoid_zones)}" : ""}). Choose another instance_type${length(var.avoid_zones) > 0 ? ", other avoid_zones" : ""} or other subnet_ids."
    }

    precondition {
      condition     = contains(data.aws_ec2_instance_type.nodes.supported_architectures, local.architecture)
      error_message = "instance_type ${var.instance_type} runs ${join(", ", data.aws_ec2_instance_type.nodes.supported_architectures)}; the nodes need x86_64 or arm64. Choose another instance_type."
    }
  }
}

resource "aws_instance" "node" {
  for_each = local.nodes

  ami                    = data.aws_ami.debian.id
  instance_type          = lookup(var.node_instance_types, each.key, var.instance_type)
  key_name               = aws_key_pair.nodes.key_name
  availability_zone      = aws_ebs_volume.data[each.key].availability_zone
  subnet_id              = lookup(local.subnet_of_zone, aws_ebs_volume.data[each.key].availability_zone, null)
  vpc_security_group_ids = [aws_security_group.nodes.id]
  monitoring             = false

  # Changed in place. The provider computes it if unset: null leaves a profile that was attached by hand.
  iam_instance_profile = local.instance_profile

  # Prevents an accidental termination in the console. A reviewed plan can still destroy the instance in one run:
  # force_destroy lifts the protection, and must already be in the state by then.
  disable_api_termination = true
  force_destroy           = true

  # Termination protection does not cover a shutdown from inside the instance.
  instance_initiated_shutdown_behavior = "stop"

  # ebs_optimized is left to EC2: current types always are, and t2 rejects it.

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # One hop: the host reaches the metadata service, and so does PostgreSQL's container, which uses the host's network
    # (backups need the credentials of the instance's role). A container behind a bridge does not.
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.root_volume_size
    encrypted   = true
    kms_key_id  = var.kms_key_id

    tags = {
      Name = "${var.cluster_name}-node-${each.key}-root"
      Node = "node-${each.key}"
    }
  }

  tags = {
    Name = "${var.cluster_name}-node-${each.key}"
    Node = "node-${each.key}"
  }

  # On creation, a node has internet access from its first boot. On destruction, the gateway cannot be detached from
  # a VPC while public addresses are still mapped.
  depends_on = [aws_route.internet, aws_route_table_association.own]

  lifecycle {
    # The provider would replace a running database for a newer image, a rotated key (Ansible installs it on
    # running hosts), one more subnet in the zone or another KMS key of new volumes.
    ignore_changes = [ami, key_name, subnet_id, root_block_device[0].kms_key_id]

    # A change of the VPC does replace the instance, which cannot move. Its data volume stays.
    replace_triggered_by = [aws_security_group.nodes.vpc_id]

    precondition {
      condition     = try(aws_ebs_volume.data[each.key].tags["Architecture"], local.architecture) == local.architecture
      error_message = "node-${each.key} runs ${try(aws_ebs_volume.data[each.key].tags["Architecture"], "another architecture")} and instance_type ${var.instance_type} is ${local.architecture}: neither its system nor its data can follow. Choose a type of the same architecture, or build a new cluster and move the data."
    }

    # The next two do not apply to a node that leaves: nothing of it changes before it is destroyed.
    precondition {
      condition     = each.value > var.replica_count + 1 || contains(keys(local.subnet_of_zone), aws_ebs_volume.data[each.key].availability_zone)
      error_message = "The data of node-${each.key} lies in zone ${aws_ebs_volume.data[each.key].availability_zone}, where the cluster has no subnet (only in ${join(", ", keys(local.subnet_of_zone))}). Keep a subnet of that zone in subnet_ids."
    }

    precondition {
      condition     = each.value > var.replica_count + 1 || contains(local.offered_zones, aws_ebs_volume.data[each.key].availability_zone)
      error_message = "The data of node-${each.key} lies in zone ${aws_ebs_volume.data[each.key].availability_zone}, which does not offer instance_type ${var.instance_type}. Choose another instance_type."
    }
  }
}

resource "aws_volume_attachment" "data" {
  for_each = local.nodes

  # Only a name in the API: on current types the device appears as /dev/nvme*n1 and is found by the volume's id.
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data[each.key].id
  instance_id = aws_instance.node[each.key].id

  # Detaching a mounted volume never completes, and a forced detach can lose writes: the instance is shut down first.
  stop_instance_before_detaching = true
}

# Starts stopped instances, which aws_instance alone leaves stopped. It exists for the one plan that starts them: the
# next plan, without started_nodes, removes it from the state and changes no instance.
resource "aws_ec2_instance_state" "started" {
  for_each = setintersection(var.started_nodes, keys(local.nodes))

  instance_id = aws_instance.node[each.key].id
  state       = "running"

  # The data volume is attached when the node boots.
  depends_on = [aws_volume_attachment.data]
}

check "zones" {
  assert {
    condition     = length(local.node_zones) != 1
    error_message = "All nodes are in one zone (${join(", ", local.node_zones)}): the cluster does not survive its loss. Give subnet_ids of at least two zones."
  }
}
