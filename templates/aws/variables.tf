variable "cluster_name" {
  description = "Prefix of every resource's name, and the value of the tag Cluster."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.cluster_name))
    error_message = "cluster_name must be 1 to 40 lower-case letters, digits and dashes, begin with a letter and not end with a dash, for example \"orders\"."
  }

  validation {
    condition     = !startswith(var.cluster_name, "sg-")
    error_message = "cluster_name must not begin with \"sg-\": EC2 keeps that prefix for itself and refuses the security group."
  }
}

variable "region" {
  description = "AWS region of the whole cluster. It cannot change: a plan for another region is refused."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be an AWS region code, for example \"us-east-1\"."
  }
}

variable "instance_type" {
  description = "EC2 instance type of every node. It can change at any time, but not between x86_64 and arm64."
  type        = string
  default     = "t3.medium"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.instance_type))
    error_message = "instance_type must be family.size, for example \"t3.medium\"."
  }
}

variable "replica_count" {
  description = "Number of replicas beside the one primary: 2 makes three nodes. A smaller number removes the nodes with the highest numbers."
  type        = number
  default     = 2

  validation {
    condition     = var.replica_count >= 0 && var.replica_count <= 15 && floor(var.replica_count) == var.replica_count
    error_message = "replica_count must be a whole number from 0 to 15."
  }
}

variable "node_instance_types" {
  description = "Instance types of single nodes by number, while a change of instance_type is rolled out node by node."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for number, type in var.node_instance_types :
      can(regex("^([1-9]|1[0-6])$", number)) && can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", type))
    ])
    error_message = "node_instance_types must map node numbers from 1 to 16 to types, for example { \"2\" = \"t3.medium\" }."
  }
}

variable "kept_nodes" {
  description = "Numbers of nodes beyond replica_count that are kept because their databases are still running."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for number in var.kept_nodes : can(regex("^([1-9]|1[0-6])$", number))])
    error_message = "kept_nodes must be node numbers from 1 to 16, for example [\"3\"]."
  }
}

variable "absent_nodes" {
  description = "Numbers of nodes that this plan leaves out, to remove the blank volume of a node whose instance could not be created."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for number in var.absent_nodes : can(regex("^([1-9]|1[0-6])$", number))])
    error_message = "absent_nodes must be node numbers from 1 to 16, for example [\"3\"]."
  }
}

variable "started_nodes" {
  description = "Numbers of nodes whose stopped instance is started by this plan."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for number in var.started_nodes : can(regex("^([1-9]|1[0-6])$", number))])
    error_message = "started_nodes must be node numbers from 1 to 16, for example [\"2\"]."
  }
}

variable "database" {
  description = "Desired state of PostgreSQL. No resource depends on it: it is kept in the state, so that a plan shows changes to it."
  type = object({
    image                = string
    settings             = map(string)
    primary              = string
    synchronous_replicas = number
  })
  default = null

  validation {
    condition     = var.database == null ? true : can(regex("[^:/]:[^:/]+$", var.database.image)) && var.database.synchronous_replicas >= 0
    error_message = "database must have an image with a tag, for example \"postgres:17\", and no negative synchronous_replicas."
  }
}

variable "ssh_public_key" {
  description = "OpenSSH public key that new nodes accept from their first boot. The playbook installs a rotated key on running nodes."
  type        = string

  validation {
    # EC2 imports only these two key types for Linux.
    condition     = can(regex("^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/]+={0,3}( [^\\n]*)?$", trimspace(var.ssh_public_key)))
    error_message = "ssh_public_key must be one line that begins with \"ssh-ed25519 \" or \"ssh-rsa \"; EC2 takes no other kind of key."
  }
}

variable "ssh_cidrs" {
  description = "IPv4 networks that may reach port 22 of the nodes. Empty: none."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.ssh_cidrs : can(cidrnetmask(cidr)) && try(cidrsubnet(cidr, 0, 0) == cidr, false)])
    error_message = "ssh_cidrs must be IPv4 networks without host bits, for example \"203.0.113.0/24\" or \"203.0.113.7/32\"."
  }
}

variable "ssh_via" {
  description = "How SSH on the nodes is reached: direct (from ssh_cidrs) or instance-connect-endpoint."
  type        = string
  default     = "direct"

  validation {
    condition     = contains(["direct", "instance-connect-endpoint"], var.ssh_via)
    error_message = "ssh_via must be \"direct\" or \"instance-connect-endpoint\"."
  }
}

variable "instance_connect_endpoint_id" {
  description = "Existing EC2 Instance Connect Endpoint of the VPC. Null: the cluster has its own. Ignored with direct connections."
  type        = string
  default     = null

  validation {
    condition     = var.instance_connect_endpoint_id == null ? true : can(regex("^eice-([0-9a-f]{8}|[0-9a-f]{17})$", var.instance_connect_endpoint_id))
    error_message = "instance_connect_endpoint_id must be the id of an EC2 Instance Connect Endpoint, for example \"eice-0a1b2c3d4e5f60718\"."
  }
}

variable "instance_connect_endpoint_groups" {
  description = "Security groups of an existing EC2 Instance Connect Endpoint. The nodes accept SSH from them."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.instance_connect_endpoint_groups : can(regex("^sg-([0-9a-f]{8}|[0-9a-f]{17})$", id))])
    error_message = "instance_connect_endpoint_groups must be ids of security groups, for example \"sg-0a1b2c3d4e5f60718\"."
  }
}

variable "client_cidrs" {
  description = "IPv4 networks that may reach port 5432 of the nodes, beside the nodes themselves. Empty: none."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.client_cidrs : can(cidrnetmask(cidr)) && try(cidrsubnet(cidr, 0, 0) == cidr, false)])
    error_message = "client_cidrs must be IPv4 networks without host bits, for example \"10.20.0.0/16\"."
  }
}

variable "subnet_ids" {
  description = "Existing subnets of one VPC to place the nodes in, preferably in several zones. Empty: the cluster gets its own VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-([0-9a-f]{8}|[0-9a-f]{17})$", id))])
    error_message = "subnet_ids must be subnet ids, for example \"subnet-0a1b2c3d4e5f60718\"."
  }
}

variable "avoid_zones" {
  description = "Zones in which no new node is placed. Existing nodes stay."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for zone in var.avoid_zones : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+[a-z]$", zone))])
    error_message = "avoid_zones must be availability zones, for example \"us-east-1e\"."
  }
}

variable "internet_via" {
  description = "How nodes in the cluster's own VPC reach packages and images: public-addresses or nat-gateway. Ignored if subnet_ids is set."
  type        = string
  default     = "public-addresses"

  validation {
    condition     = contains(["public-addresses", "nat-gateway"], var.internet_via)
    error_message = "internet_via must be \"public-addresses\" or \"nat-gateway\"."
  }
}

variable "dns_zone_id" {
  description = "Private Route 53 hosted zone that gets a name for each node. Null: no names."
  type        = string
  default     = null

  validation {
    condition     = var.dns_zone_id == null ? true : can(regex("^Z[0-9A-Z]{1,31}$", var.dns_zone_id))
    error_message = "dns_zone_id must be the id of a hosted zone, for example \"Z0123456789ABCDEFGHIJ\"."
  }
}

variable "instance_profile" {
  description = "Name of an existing IAM instance profile for the nodes. Null: the profile that a node has stays, if any."
  type        = string
  default     = null

  validation {
    condition     = var.instance_profile == null ? true : can(regex("^[A-Za-z0-9_+=,.@-]{1,128}$", var.instance_profile))
    error_message = "instance_profile must be the name of an IAM instance profile, for example \"postgres-nodes\"."
  }
}

variable "backup" {
  description = "Bucket of the backups, which exists; the cluster's path in it is <prefix>/<cluster_name>/. Null: no backups. Without instance_profile the nodes get a role of their own. kms_key_id: ARN of the key of the objects, null for the bucket's own encryption. permissions_boundary: ARN of the policy that bounds the role."
  type = object({
    bucket               = string
    prefix               = string
    kms_key_id           = string
    permissions_boundary = string
  })
  default = null

  # No character of a path is a wildcard of IAM.
  validation {
    condition = var.backup == null ? true : (
      can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.backup.bucket)) &&
      can(regex("^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$", var.backup.prefix)) &&
      length(coalesce(var.backup.prefix, "-")) <= 200
    )
    error_message = "backup must have the name of a bucket, and a prefix that is \"\" or a path of letters, digits, dots, dashes and underscores, for example \"postgres/production\"."
  }

  validation {
    condition     = try(var.backup.kms_key_id, null) == null ? true : can(regex("^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:[0-9]{12}:(key/[A-Za-z0-9-]{1,128}|alias/[A-Za-z0-9/_-]{1,250})$", var.backup.kms_key_id))
    error_message = "backup must have as kms_key_id null or the ARN of a KMS key, for example \"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"."
  }

  validation {
    condition     = try(var.backup.permissions_boundary, null) == null ? true : can(regex("^arn:aws(-cn|-us-gov)?:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,512}$", var.backup.permissions_boundary))
    error_message = "backup must have as permissions_boundary null or the ARN of an IAM policy, for example \"arn:aws:iam::123456789012:policy/postgres-cluster-nodes\"."
  }
}

variable "restore_from" {
  description = "The repository from which a new cluster is restored. The nodes' own role may read it. Null: none. kms_key_id: ARN of the key of its objects, null for the bucket's own encryption. permissions_boundary: ARN of the policy that bounds the role, if backup gives none."
  type = object({
    bucket               = string
    prefix               = string
    cluster              = string
    kms_key_id           = string
    permissions_boundary = string
  })
  default = null

  validation {
    condition = var.restore_from == null ? true : (
      can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.restore_from.bucket)) &&
      can(regex("^([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$", var.restore_from.prefix)) &&
      length(coalesce(var.restore_from.prefix, "-")) <= 200 &&
      can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.restore_from.cluster))
    )
    error_message = "restore_from must have the name of a bucket, a prefix that is \"\" or a path, and the name of a cluster, for example { bucket = \"me-backups\", prefix = \"\", cluster = \"orders\", kms_key_id = null, permissions_boundary = null }."
  }

  validation {
    condition     = try(var.restore_from.kms_key_id, null) == null ? true : can(regex("^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:[0-9]{12}:(key/[A-Za-z0-9-]{1,128}|alias/[A-Za-z0-9/_-]{1,250})$", var.restore_from.kms_key_id))
    error_message = "restore_from must have as kms_key_id null or the ARN of a KMS key, for example \"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"."
  }

  validation {
    condition     = try(var.restore_from.permissions_boundary, null) == null ? true : can(regex("^arn:aws(-cn|-us-gov)?:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,512}$", var.restore_from.permissions_boundary))
    error_message = "restore_from must have as permissions_boundary null or the ARN of an IAM policy, for example \"arn:aws:iam::123456789012:policy/postgres-cluster-nodes\"."
  }
}

variable "snapshots" {
  description = "Daily snapshots of the data volumes by Amazon Data Lifecycle Manager. keep: how many of each volume are kept; time: when they begin, in UTC; permissions_boundary: ARN of the policy that bounds the role that makes them. Null: none."
  type = object({
    keep                 = number
    time                 = string
    permissions_boundary = string
  })
  default = null

  # DLM API Reference, "RetainRule" and "CreateRule".
  validation {
    condition = var.snapshots == null ? true : (
      var.snapshots.keep >= 1 && var.snapshots.keep <= 1000 && floor(var.snapshots.keep) == var.snapshots.keep &&
      can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]$", var.snapshots.time))
    )
    error_message = "snapshots must have as keep a whole number from 1 to 1000, and as time a time of day in UTC, for example { keep = 7, time = \"03:00\", permissions_boundary = null }."
  }

  validation {
    condition     = try(var.snapshots.permissions_boundary, null) == null ? true : can(regex("^arn:aws(-cn|-us-gov)?:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]{1,512}$", var.snapshots.permissions_boundary))
    error_message = "snapshots must have as permissions_boundary null or the ARN of an IAM policy, for example \"arn:aws:iam::123456789012:policy/postgres-cluster-snapshots\"."
  }
}

variable "vpc_cidr" {
  description = "Network of the cluster's own VPC, divided into 16 subnets, one per zone. Ignored if subnet_ids is set."
  type        = string
  default     = "10.42.0.0/16"

  validation {
    # The smallest subnet is a /28, and each subnet is a sixteenth of the VPC.
    condition     = can(regex("/(1[6-9]|2[0-4])$", var.vpc_cidr)) && can(cidrnetmask(var.vpc_cidr)) && try(cidrsubnet(var.vpc_cidr, 0, 0) == var.vpc_cidr, false)
    error_message = "vpc_cidr must be an IPv4 network from /16 to /24 without host bits, for example \"10.42.0.0/16\"."
  }
}

variable "data_volume_size" {
  description = "Size of each node's data volume in GiB. It can be increased in place; EBS cannot shrink a volume."
  type        = number
  default     = 20

  validation {
    # EBS User Guide, "General Purpose SSD volumes": limits of gp3.
    condition     = var.data_volume_size >= 1 && var.data_volume_size <= 65536 && floor(var.data_volume_size) == var.data_volume_size
    error_message = "data_volume_size must be a whole number of GiB from 1 to 65536."
  }
}

variable "final_snapshot" {
  description = "Whether a data volume leaves a last snapshot when it is destroyed. False only for a cluster that was made to be destroyed."
  type        = bool
  default     = true

  # The provider's default would be none.
  validation {
    condition     = var.final_snapshot != null
    error_message = "final_snapshot must be true or false."
  }
}

variable "rehearsal_of" {
  description = "Name of the cluster whose restore this one rehearses, and the value of the tag RehearsalOf. Null: it is no rehearsal, and has no such tag."
  type        = string
  default     = null

  validation {
    condition     = var.rehearsal_of == null ? true : can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.rehearsal_of))
    error_message = "rehearsal_of must be the name of a cluster, for example \"orders\"."
  }
}

variable "data_volume_iops" {
  description = "Provisioned IOPS of each node's data volume, at most 500 per GiB. Null: a new volume has gp3's 3000, an existing one keeps its own."
  type        = number
  default     = null

  validation {
    condition     = var.data_volume_iops == null ? true : var.data_volume_iops >= 3000 && var.data_volume_iops <= 80000 && floor(var.data_volume_iops) == var.data_volume_iops
    error_message = "data_volume_iops must be a whole number from 3000 to 80000."
  }
}

variable "data_volume_throughput" {
  description = "Provisioned throughput of each node's data volume in MiB/s, at most a quarter of its IOPS. Null: a new volume has gp3's 125, an existing one keeps its own."
  type        = number
  default     = null

  validation {
    condition     = var.data_volume_throughput == null ? true : var.data_volume_throughput >= 125 && var.data_volume_throughput <= 2000 && floor(var.data_volume_throughput) == var.data_volume_throughput
    error_message = "data_volume_throughput must be a whole number of MiB/s from 125 to 2000."
  }
}

variable "root_volume_size" {
  description = "Size of each node's root volume (system, Docker images, logs) in GiB. It can be increased in place; EBS cannot shrink a volume."
  type        = number
  default     = 16

  validation {
    # The Debian image itself requires 8 GiB.
    condition     = var.root_volume_size >= 8 && var.root_volume_size <= 65536 && floor(var.root_volume_size) == var.root_volume_size
    error_message = "root_volume_size must be a whole number of GiB from 8 to 65536."
  }
}

variable "kms_key_id" {
  description = "ARN of the KMS key that encrypts new volumes. Null: the account's default key. Existing volumes keep the key that they were created with."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_id == null ? true : can(regex("^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:[0-9]{12}:(key/[A-Za-z0-9-]{1,128}|alias/[A-Za-z0-9/_-]{1,250})$", var.kms_key_id))
    error_message = "kms_key_id must be the ARN of a KMS key, for example \"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"."
  }
}

variable "tags" {
  description = "Additional tags for every resource."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.tags), ["Architecture", "Cluster", "ManagedBy", "Name", "Node", "RehearsalOf", "SnapshotsOf"])) == 0
    error_message = "tags must not contain Architecture, Cluster, ManagedBy, Name, Node, RehearsalOf or SnapshotsOf: the cluster sets these itself."
  }

  validation {
    condition = length(var.tags) <= 40 && alltrue([
      for key, value in var.tags : length(key) >= 1 && length(key) <= 128 && length(value) <= 256 && !startswith(lower(key), "aws:")
    ])
    error_message = "tags must be at most 40, with keys of 1 to 128 characters that do not begin with \"aws:\" and values of at most 256 characters."
  }
}
