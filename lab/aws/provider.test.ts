import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { debian, KEY, ProviderClient, SCHEMAS } from './provider-client.ts';
import type { Fields } from './values.ts';

let aws: ProviderClient;
beforeEach(async () => {
  aws = await ProviderClient.open();
});
afterEach(() => aws.close());

describe('the configuration of the provider', () => {
  test.each([
    ['us-east-9', 'invalid AWS Region: us-east-9'],
    ['af-south-1', 'InvalidClientTokenId'],
  ])('%s is refused', async (region, words) => {
    const { diagnostics = [] } = await aws.configure(region);
    expect(diagnostics[0]?.summary).toContain(words);
  });
});

describe('networks', () => {
  test.each<[string, string, Fields, string]>([
    [
      'a VPC that is too large',
      'aws_vpc',
      { cidr_block: '10.0.0.0/8' },
      "InvalidVpc.Range: The CIDR '10.0.0.0/8' is invalid.",
    ],
    ['a subnet outside', 'aws_subnet', { cidr_block: '10.50.0.0/24' }, 'InvalidSubnet.Range'],
    [
      'a subnet that overlaps',
      'aws_subnet',
      { cidr_block: '10.42.0.0/25' },
      'InvalidSubnet.Conflict',
    ],
    [
      'a subnet in an unknown zone',
      'aws_subnet',
      { cidr_block: '10.42.9.0/24', availability_zone: 'us-east-1z' },
      'Value (us-east-1z) for parameter availabilityZone is invalid',
    ],
    [
      'a second group with the same name',
      'aws_security_group',
      { name: 'lab' },
      "InvalidGroup.Duplicate: The security group 'lab' already exists",
    ],
    [
      'a second key with the same name',
      'aws_key_pair',
      { key_name: 'lab', public_key: KEY },
      'InvalidKeyPair.Duplicate: The keypair already exists',
    ],
    [
      'an invalid key',
      'aws_key_pair',
      { key_name: 'x', public_key: 'ssh-dss AAAA' },
      'InvalidKey.Format',
    ],
  ])('%s is refused', async (_name, type, given, words) => {
    const { vpc } = await aws.makeNetwork();
    const inside =
      'vpc_id' in (SCHEMAS.resources[type]?.attributes ?? {}) ? { vpc_id: vpc.id ?? null } : {};
    await expect(aws.apply(type, { ...inside, ...given })).rejects.toThrow(words);
  });

  test('a conflicting rule is refused, and a valid rule is normalised', async () => {
    const { group } = await aws.makeNetwork();
    const rule: Fields = {
      security_group_id: group.id ?? null,
      ip_protocol: 'tcp',
      from_port: 22,
      to_port: 22,
      cidr_ipv4: '10.0.0.0/8',
    };
    const state = await aws.apply('aws_vpc_security_group_ingress_rule', rule);
    expect(state).toMatchObject({ id: state.security_group_rule_id, tags_all: { Cluster: 'lab' } });
    await expect(
      aws.apply('aws_vpc_security_group_ingress_rule', { ...rule, ip_protocol: '6' }),
    ).rejects.toThrow('InvalidPermission.Duplicate');
    expect(await aws.refresh('aws_security_group', group)).toMatchObject({
      ingress: [{ from_port: 22, cidr_blocks: ['10.0.0.0/8'] }],
    });
  });

  test.each<[string, Fields, string]>([
    ['host bits', { cidr_ipv4: '10.0.0.1/8' }, 'represents a network address'],
    ['no peer', {}, 'Exactly one of these attributes'],
    [
      'two peers',
      { cidr_ipv4: '10.0.0.0/8', referenced_security_group_id: 'sg-1' },
      'Exactly one of these attributes',
    ],
  ])('a rule with %s is not valid', async (_name, given, words) => {
    const rule = { ip_protocol: 'tcp', ...given };
    const type = 'aws_vpc_security_group_ingress_rule';
    const { diagnostics = [] } = await aws.validate(type, rule);
    expect(diagnostics[0]?.detail).toContain(words);
  });
});

describe('a data source finds', () => {
  const filter = (name: string, ...values: string[]): Fields => ({ name, values });

  test('the newest image of a name', async () => {
    const given: Fields = {
      owners: ['136693071363'],
      most_recent: true,
      filter: [filter('name', 'debian-12-arm64-*')],
    };
    expect(await aws.read('aws_ami', given)).toMatchObject({
      id: debian('arm64'),
      architecture: 'arm64',
    });
    await expect(aws.read('aws_ami', { ...given, most_recent: false })).rejects.toThrow(
      'more than one result',
    );
    await expect(
      aws.read('aws_ami', { ...given, filter: [filter('name', 'debian-99-*')] }),
    ).rejects.toThrow('returned no results');
    await expect(
      aws.read('aws_ami', { ...given, filter: [filter('colour', 'red')] }),
    ).rejects.toThrow("The filter 'colour' is invalid");
  });

  test('zones by name, and the zones that offer a type', async () => {
    const zones = await aws.read('aws_availability_zones', {
      exclude_names: ['us-east-1f'],
      filter: [filter('opt-in-status', 'opt-in-not-required')],
    });
    expect(zones.names).toEqual(['a', 'b', 'c', 'd', 'e'].map((letter) => `us-east-1${letter}`));
    const offers = await aws.read('aws_ec2_instance_type_offerings', {
      location_type: 'availability-zone',
      filter: [filter('instance-type', 't3.small')],
    });
    expect(offers.locations).not.toContain('us-east-1e');
  });

  test('an instance type', async () => {
    expect(await aws.read('aws_ec2_instance_type', { instance_type: 't2.small' })).toMatchObject({
      supported_architectures: ['i386', 'x86_64'],
      memory_size: 2048,
      ebs_optimized_support: 'unsupported',
    });
    await expect(aws.read('aws_ec2_instance_type', { instance_type: 't9.small' })).rejects.toThrow(
      'InvalidInstanceType',
    );
  });

  test('subnets and their VPC', async () => {
    const { vpc, subnet } = await aws.makeNetwork();
    expect(
      await aws.read('aws_subnets', { filter: [filter('vpc-id', String(vpc.id))] }),
    ).toMatchObject({ ids: [subnet.id] });
    expect(await aws.read('aws_subnet', { id: subnet.id ?? null })).toMatchObject({
      vpc_id: vpc.id,
      available_ip_address_count: 251,
    });
    expect(await aws.read('aws_vpc', { id: vpc.id ?? null })).toMatchObject({
      cidr_block: '10.42.0.0/16',
    });
    await expect(aws.read('aws_subnet', { id: 'subnet-0' })).rejects.toThrow(
      'no matching EC2 Subnet found',
    );
  });
});

test('the world survives the process', async () => {
  const { vpc } = await aws.makeNetwork();
  await aws.restart();
  expect(await aws.refresh('aws_vpc', vpc)).toEqual(vpc);
});

test('a resource of another region is read, changed and deleted there', async () => {
  const { vpc } = await aws.makeNetwork();
  await aws.configure('eu-west-1', { Cluster: 'lab' });
  expect(await aws.refresh('aws_vpc', vpc)).toEqual(vpc);
  expect(
    (await aws.plan('aws_vpc', { cidr_block: '10.42.0.0/16', region: 'eu-west-1' }, vpc)).replace,
  ).toEqual(['region']);
});
