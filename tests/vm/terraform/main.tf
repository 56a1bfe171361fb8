# What tests/vm/terraform.long.test.ts applies, changes by its one variable, and destroys.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
variable "step" {
  default = "first"
}
provider "aws" {
  region            = "us-east-1"
  s3_use_path_style = true
  default_tags {
    tags = { managed = "terraform" }
  }
}
data "aws_ami" "micro" {
  owners      = ["amazon"]
  most_recent = true
  filter {
    name   = "name"
    values = ["fractus-micro-*"]
  }
}
data "aws_vpc" "default" { default = true }
data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
data "aws_subnet" "first" {
  id = sort(data.aws_subnets.default.ids)[0]
}
data "aws_security_group" "default" {
  name   = "default"
  vpc_id = data.aws_vpc.default.id
}
data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}
data "aws_caller_identity" "me" {}
data "aws_availability_zones" "all" {
  state = "available"
}
data "aws_ec2_instance_type" "micro" {
  instance_type = "t3.micro"
}

resource "aws_key_pair" "key" {
  key_name   = "terraform"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl terraform"
  tags       = { step = var.step }
}
resource "aws_security_group" "web" {
  name        = "terraform"
  description = "by Terraform"
  vpc_id      = data.aws_vpc.default.id
  ingress {
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = var.step == "first" ? ["192.0.2.0/24"] : ["198.51.100.0/24"]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
  tags = { step = var.step }
}
resource "aws_security_group" "rules" {
  name   = "terraform-rules"
  vpc_id = data.aws_vpc.default.id
}
resource "aws_vpc_security_group_ingress_rule" "in" {
  security_group_id = aws_security_group.rules.id
  cidr_ipv4         = "192.0.2.0/24"
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
  description       = var.step
  tags              = { step = var.step }
}
resource "aws_vpc_security_group_egress_rule" "out" {
  security_group_id            = aws_security_group.rules.id
  referenced_security_group_id = aws_security_group.web.id
  ip_protocol                  = "-1"
}
resource "aws_security_group_rule" "old" {
  security_group_id = aws_security_group.rules.id
  type              = "ingress"
  protocol          = "udp"
  from_port         = 53
  to_port           = 53
  cidr_blocks       = ["192.0.2.0/24"]
  description       = var.step
}
resource "aws_placement_group" "spread" {
  name     = "terraform"
  strategy = "spread"
  tags     = { step = var.step }
}
resource "aws_launch_template" "web" {
  name                   = "terraform"
  description            = var.step
  image_id               = data.aws_ami.micro.id
  instance_type          = var.step == "first" ? "t3.micro" : "t3.small"
  key_name               = aws_key_pair.key.key_name
  update_default_version = true
  user_data              = base64encode("hello")
  vpc_security_group_ids = [aws_security_group.web.id]
  metadata_options {
    http_tokens = "required"
  }
  monitoring { enabled = true }
  block_device_mappings {
    device_name = "/dev/sdf"
    ebs {
      volume_size = 2
      volume_type = "gp3"
    }
  }
  tag_specifications {
    resource_type = "volume"
    tags          = { from = "template" }
  }
  tags = { step = var.step }
}
resource "aws_instance" "plain" {
  ami                         = data.aws_ami.micro.id
  instance_type               = var.step == "first" ? "t3.micro" : "t3.small"
  subnet_id                   = data.aws_subnet.first.id
  vpc_security_group_ids      = [aws_security_group.web.id]
  key_name                    = aws_key_pair.key.key_name
  associate_public_ip_address = true
  placement_group             = aws_placement_group.spread.name
  user_data                   = "#!/bin/sh\necho ${var.step}\n"
  monitoring                  = var.step == "first"
  root_block_device {
    volume_size = 2
    volume_type = "gp3"
  }
  ebs_block_device {
    device_name = "/dev/sdf"
    volume_size = 1
  }
  tags = { Name = "plain", step = var.step }
}
resource "aws_instance" "from_template" {
  launch_template {
    id      = aws_launch_template.web.id
    version = "1"
  }
  tags = { Name = "templated" }
  lifecycle {
    # The provider plans the hash of the hash of user data that come from a template, on AWS too.
    ignore_changes = [user_data]
  }
}
resource "aws_s3_bucket" "b" {
  bucket = "terraform-bucket"
  tags   = { step = var.step }
}
resource "aws_s3_object" "o" {
  bucket  = aws_s3_bucket.b.id
  key     = "folder/hello.txt"
  content = "hello ${var.step}"
  tags    = { step = var.step }
}

output "seen" {
  value = {
    account    = data.aws_caller_identity.me.account_id
    image      = data.aws_ami.micro.id
    parameter  = nonsensitive(data.aws_ssm_parameter.image.value)
    vpc        = data.aws_subnet.first.vpc_id
    zones      = data.aws_availability_zones.all.names
    memory     = data.aws_ec2_instance_type.micro.memory_size
    group      = data.aws_security_group.default.id
    instances  = [aws_instance.plain.id, aws_instance.from_template.id]
    type       = aws_instance.plain.instance_type
    templated  = aws_instance.from_template.instance_type
    address    = aws_instance.plain.private_ip
    volumes    = aws_instance.plain.root_block_device[0].volume_size
    latest     = aws_launch_template.web.latest_version
    defaultsTo = aws_launch_template.web.default_version
    etag       = aws_s3_object.o.etag
  }
}
