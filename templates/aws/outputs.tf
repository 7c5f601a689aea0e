output "cluster_name" {
  description = "Name of the cluster."
  value       = var.cluster_name
}

output "region" {
  description = "Region of the cluster."
  value       = var.region
}

output "nodes" {
  description = "All existing nodes, in the order of their numbers. public_address is null if the subnet assigns none, and behind a NAT gateway, where nobody reaches one that a node had before."
  value = [for number in local.numbers : {
    name            = "node-${number}"
    instance_id     = aws_instance.node[tostring(number)].id
    instance_type   = aws_instance.node[tostring(number)].instance_type
    private_address = aws_instance.node[tostring(number)].private_ip
    public_address  = local.own_nat || aws_instance.node[tostring(number)].public_ip == "" ? null : aws_instance.node[tostring(number)].public_ip
    zone            = aws_ebs_volume.data[tostring(number)].availability_zone
    volume_id       = aws_ebs_volume.data[tostring(number)].id

    # The volume's device on types without NVMe (t2 and older), where /dev/sdf appears as /dev/xvdf.
    device_name = aws_volume_attachment.data[tostring(number)].device_name
  }]
}

output "architecture" {
  description = "Architecture of the nodes: x86_64 or arm64."
  value       = local.architecture
}

output "instance_memory_mib" {
  description = "Memory of instance_type in MiB."
  value       = data.aws_ec2_instance_type.nodes.memory_size
}

output "database" {
  description = "What the nodes were asked to run when this was applied."
  value       = var.database
}

output "instance_connect_endpoint_id" {
  description = "EC2 Instance Connect Endpoint through which the nodes are reached. Null with direct connections."
  value       = local.own_endpoint ? aws_ec2_instance_connect_endpoint.own[0].id : local.via_endpoint ? var.instance_connect_endpoint_id : null
}

output "dns_names" {
  description = "DNS name of each node. Null without dns_zone_id."
  value       = var.dns_zone_id == null ? null : { for key, record in aws_route53_record.node : "node-${key}" => record.name }
}
