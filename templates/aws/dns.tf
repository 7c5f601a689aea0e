# One name per node in a private Route 53 zone, so that a changed address changes no connection string.

data "aws_route53_zone" "given" {
  count = var.dns_zone_id == null ? 0 : 1

  zone_id = var.dns_zone_id
}

resource "aws_route53_record" "node" {
  for_each = var.dns_zone_id == null ? {} : local.nodes

  zone_id = data.aws_route53_zone.given[0].zone_id
  name    = "node-${each.key}.${var.cluster_name}.${trimsuffix(data.aws_route53_zone.given[0].name, ".")}"
  type    = "A"
  records = [aws_instance.node[each.key].private_ip]

  # A replaced node has another address: clients find it after at most this many seconds.
  ttl = 30

  lifecycle {
    precondition {
      condition     = data.aws_route53_zone.given[0].private_zone
      error_message = "dns_zone_id ${var.dns_zone_id} is the public zone ${data.aws_route53_zone.given[0].name}, which would publish private addresses. Give the id of a private hosted zone that is associated with the VPCs of the clients."
    }
  }
}
