import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nameImage } from './catalogue/images.ts';
import { noCompute } from './compute/compute.ts';
import { Provider } from './provider.ts';
import { loadSchemas } from './schema.ts';
import {
  decodeValue,
  encodeValue,
  type Fields,
  isFields,
  shapeFields,
  UNKNOWN,
  type Value,
} from './values.ts';
import { World } from './world.ts';

const schemas = loadSchemas();
const debian = (architecture: string) =>
  nameImage('us-east-1', `debian-12-${architecture}-20251006-2257`);
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1v1yVhVJwWbYl5rJqk1H0m2eQ8b2T1ZsTzY0bXb0aS lab';

let directory: string;
let world: World;
let provider: Provider;

interface Answer {
  readonly diagnostics?: readonly { readonly summary: string; readonly detail: string }[];
  readonly new_state?: { readonly msgpack: Uint8Array };
  readonly planned_state?: { readonly msgpack: Uint8Array };
  readonly state?: { readonly msgpack: Uint8Array };
  readonly requires_replace?: readonly { readonly steps: readonly object[] }[];
}

async function ask(method: string, request: object): Promise<Answer> {
  const answer = await provider.methods[method]?.(request);
  if (answer === undefined) throw new Error(`no ${method}`);
  return answer as Answer;
}

const pack = (value: Value) => ({ msgpack: encodeValue(value) });

function unpack(value: { msgpack: Uint8Array } | undefined): Fields {
  const decoded = decodeValue(value?.msgpack);
  if (!isFields(decoded)) throw new Error('The answer holds no state.');
  return decoded;
}

function demand({ diagnostics = [] }: Answer): void {
  if (diagnostics.length > 0) throw new Error(diagnostics.map(({ summary }) => summary).join('\n'));
}

/** Asks for a plan as Terraform does: what is computed and not configured keeps its recorded value. */
async function plan(type: string, given: Fields, prior: Fields | null = null) {
  const block = schemas.resources[type];
  if (block === undefined) throw new Error(`no ${type}`);
  const config = shapeFields(given, block);
  const merged = Object.entries(config).map(([name, value]) => {
    const computed = block.attributes[name]?.computed && value === null;
    return [name, computed ? (prior?.[name] ?? null) : value];
  });
  const proposed_new_state = pack(Object.fromEntries(merged));
  const answer = await ask('PlanResourceChange', {
    type_name: type,
    prior_state: pack(prior),
    proposed_new_state,
    config: pack(config),
  });
  const replace = (answer.requires_replace ?? []).map(({ steps }) =>
    steps.map((step) => Object.values(step)[0]).join('.'),
  );
  return { planned: unpack(answer.planned_state), replace, config };
}

/** Plans and applies; throws the first diagnostic's summary. Gives the new state. */
async function apply(type: string, given: Fields, prior: Fields | null = null): Promise<Fields> {
  const { planned, config } = await plan(type, given, prior);
  const answer = await ask('ApplyResourceChange', {
    type_name: type,
    prior_state: pack(prior),
    planned_state: pack(planned),
    config: pack(config),
  });
  demand(answer);
  return unpack(answer.new_state);
}

async function destroy(type: string, prior: Fields): Promise<void> {
  demand(
    await ask('ApplyResourceChange', {
      type_name: type,
      prior_state: pack(prior),
      planned_state: pack(null),
      config: pack(null),
    }),
  );
}

async function refresh(type: string, state: Fields): Promise<Value> {
  const { new_state } = await ask('ReadResource', { type_name: type, current_state: pack(state) });
  return decodeValue(new_state?.msgpack);
}

async function read(type: string, given: Fields): Promise<Fields> {
  const block = schemas.data_sources[type];
  if (block === undefined) throw new Error(`no ${type}`);
  const answer = await ask('ReadDataSource', {
    type_name: type,
    config: pack(shapeFields(given, block)),
  });
  demand(answer);
  return unpack(answer.state);
}

function configure(region: string, tags: { [key: string]: string } = {}): Promise<Answer> {
  const config = shapeFields({ region, default_tags: [{ tags }] }, schemas.provider);
  return ask('Configure', { config: pack(config) });
}

/** A VPC with one subnet, a security group and a key pair: what an instance needs. */
async function makeNetwork() {
  const vpc = await apply('aws_vpc', { cidr_block: '10.42.0.0/16' });
  const subnet = await apply('aws_subnet', {
    vpc_id: vpc.id ?? null,
    cidr_block: '10.42.0.0/24',
    availability_zone: 'us-east-1a',
    map_public_ip_on_launch: true,
  });
  const group = await apply('aws_security_group', { name: 'lab', vpc_id: vpc.id ?? null });
  const key = await apply('aws_key_pair', { key_name: 'lab', public_key: KEY });
  const launch: Fields = {
    ami: debian('amd64'),
    instance_type: 't3.small',
    subnet_id: subnet.id ?? null,
    key_name: 'lab',
    vpc_security_group_ids: [group.id ?? null],
  };
  return { vpc, subnet, group, key, launch };
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'pgca-aws-unit-'));
  world = new World(directory);
  provider = new Provider(world, noCompute);
  demand(await configure('us-east-1', { Cluster: 'lab' }));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the configuration of the provider', () => {
  test.each([
    ['us-east-9', 'invalid AWS Region: us-east-9'],
    ['af-south-1', 'InvalidClientTokenId'],
  ])('%s is refused', async (region, words) => {
    const { diagnostics = [] } = await configure(region);
    expect(diagnostics[0]?.summary).toContain(words);
  });
});

describe('an instance', () => {
  test('is recorded with what EC2 gives it', async () => {
    const { launch, group } = await makeNetwork();
    const state = await apply('aws_instance', { ...launch, tags: { Name: 'node-1' } });
    expect(state).toMatchObject({
      private_ip: '10.42.0.4',
      public_ip: '10.99.1.0',
      private_dns: 'ip-10-42-0-4.ec2.internal',
      availability_zone: 'us-east-1a',
      instance_state: 'running',
      vpc_security_group_ids: [group.id],
      tags: { Name: 'node-1' },
      tags_all: { Name: 'node-1', Cluster: 'lab' },
      region: 'us-east-1',
    });
    expect(await refresh('aws_instance', state)).toEqual(state);
    expect(
      (await plan('aws_instance', { ...launch, tags: { Name: 'node-1' } }, state)).planned,
    ).toEqual(state);
  });

  test('of another type is stopped and started and gets another public address', async () => {
    const { launch } = await makeNetwork();
    const before = await apply('aws_instance', launch);
    const other = { ...launch, instance_type: 't3.large' };
    const { planned, replace } = await plan('aws_instance', other, before);
    expect(replace).toEqual([]);
    expect(planned).toMatchObject({
      public_ip: UNKNOWN,
      public_dns: UNKNOWN,
      private_ip: before.private_ip,
    });
    const after = await apply('aws_instance', other, before);
    expect(after.id).toBe(before.id);
    expect(after.public_ip).not.toBe(before.public_ip);
  });

  test.each<[string, Fields, string[]]>([
    ['another architecture', { instance_type: 't4g.small' }, ['instance_type']],
    ['another image', { ami: debian('arm64') }, ['ami']],
    ['another key', { key_name: 'other' }, ['key_name']],
    ['user data', { user_data: 'x' }, []],
    [
      'user data that is to replace',
      { user_data: 'x', user_data_replace_on_change: true },
      ['user_data'],
    ],
    ['protection', { disable_api_termination: true }, []],
    [
      'an encrypted root',
      { root_block_device: [{ encrypted: true }] },
      ['root_block_device.0.encrypted'],
    ],
    ['a larger root', { root_block_device: [{ volume_size: 20, encrypted: false }] }, []],
  ])('is replaced or not by %s', async (_name, change, expected) => {
    const { launch } = await makeNetwork();
    const state = await apply('aws_instance', launch);
    expect((await plan('aws_instance', { ...launch, ...change }, state)).replace).toEqual(expected);
  });

  test.each<[string, Fields, string]>([
    [
      'an unknown type',
      { instance_type: 't9.small' },
      "InvalidParameterValue: Invalid value 't9.small' for InstanceType.",
    ],
    [
      'another architecture than the image',
      { instance_type: 't4g.small' },
      "The architecture 'arm64' of the specified instance type does not match the architecture 'x86_64'",
    ],
    ['no such image', { ami: 'ami-00000000000000000' }, 'InvalidAMIID.NotFound'],
    [
      'no such key',
      { key_name: 'nobody' },
      "InvalidKeyPair.NotFound: The key pair 'nobody' does not exist",
    ],
    ['no such subnet', { subnet_id: 'subnet-0' }, 'InvalidSubnetID.NotFound'],
    ['no subnet at all', { subnet_id: null }, 'VPCIdNotSpecified'],
    ['no such group', { vpc_security_group_ids: ['sg-0'] }, 'InvalidGroup.NotFound'],
    [
      'a root smaller than its image',
      { root_block_device: [{ volume_size: 4 }] },
      'expect size >= 8GB',
    ],
    [
      'EBS optimisation on t2',
      { instance_type: 't2.small', ebs_optimized: true },
      'api error Unsupported',
    ],
  ])('is refused: %s', async (_name, change, words) => {
    const { launch } = await makeNetwork();
    await expect(apply('aws_instance', { ...launch, ...change })).rejects.toThrow(words);
    expect(Object.keys(world.tables.instances)).toEqual([]);
  });

  test('is refused in a zone that does not have its type', async () => {
    const { vpc, launch } = await makeNetwork();
    const subnet = await apply('aws_subnet', {
      vpc_id: vpc.id ?? null,
      cidr_block: '10.42.9.0/24',
      availability_zone: 'us-east-1e',
    });
    const there = { ...launch, subnet_id: subnet.id ?? null };
    await expect(apply('aws_instance', there)).rejects.toThrow(
      'not supported in your requested Availability Zone (us-east-1e)',
    );
    expect(await apply('aws_instance', { ...there, instance_type: 't2.small' })).toMatchObject({
      availability_zone: 'us-east-1e',
    });
  });

  test('that is protected stays, unless force_destroy was applied before', async () => {
    const { launch } = await makeNetwork();
    const guarded = await apply('aws_instance', { ...launch, disable_api_termination: true });
    await expect(destroy('aws_instance', guarded)).rejects.toThrow(
      /OperationNotPermitted.*may not be terminated/,
    );
    const forced = await apply(
      'aws_instance',
      { ...launch, disable_api_termination: true, force_destroy: true },
      guarded,
    );
    await destroy('aws_instance', forced);
    expect(await refresh('aws_instance', forced)).toBe(null);
  });

  test('ten at once get ten addresses', async () => {
    const { launch } = await makeNetwork();
    const all = await Promise.all(Array.from({ length: 10 }, () => apply('aws_instance', launch)));
    expect(new Set(all.map(({ private_ip }) => private_ip)).size).toBe(10);
    expect(new Set(all.map(({ public_ip }) => public_ip)).size).toBe(10);
  });
});

describe('a volume', () => {
  const disk: Fields = { availability_zone: 'us-east-1a', size: 20, type: 'gp3', encrypted: true };

  test('has the rates of its type', async () => {
    expect(await apply('aws_ebs_volume', disk)).toMatchObject({
      iops: 3000,
      throughput: 125,
      final_snapshot: false,
    });
    expect(await apply('aws_ebs_volume', { ...disk, type: 'gp2', size: 100 })).toMatchObject({
      iops: 300,
      throughput: 0,
    });
  });

  test.each<[string, Fields, string[]]>([
    ['a larger size', { size: 30 }, []],
    ['another type', { type: 'gp2' }, []],
    ['another zone', { availability_zone: 'us-east-1b' }, ['availability_zone']],
    ['no encryption', { encrypted: false }, ['encrypted']],
    ['tags', { tags: { Name: 'data' } }, []],
  ])('is replaced or not by %s', async (_name, change, expected) => {
    const state = await apply('aws_ebs_volume', disk);
    expect((await plan('aws_ebs_volume', { ...disk, ...change }, state)).replace).toEqual(expected);
  });

  test('never shrinks, and rests after growing', async () => {
    const small = await apply('aws_ebs_volume', disk);
    await expect(apply('aws_ebs_volume', { ...disk, size: 10 }, small)).rejects.toThrow(
      'New size cannot be smaller than existing size',
    );
    const grown = await apply('aws_ebs_volume', { ...disk, size: 30 }, small);
    expect(grown).toMatchObject({ id: small.id, size: 30 });
    await expect(apply('aws_ebs_volume', { ...disk, size: 40 }, grown)).rejects.toThrow(
      'VolumeModificationRateExceeded',
    );
  });

  test.each<[string, Fields, string]>([
    ['a zone that is none', { availability_zone: 'us-east-1z' }, 'InvalidZone.NotFound'],
    ['too large', { size: 99999 }, 'InvalidParameterValue'],
    ['a type that is none', { type: 'constructor' }, 'Volume type constructor is invalid'],
  ])('is refused: %s', async (_name, change, words) => {
    await expect(apply('aws_ebs_volume', { ...disk, ...change })).rejects.toThrow(words);
  });

  test('attaches in its own zone, once, and shows up on the instance', async () => {
    const { launch } = await makeNetwork();
    const node = await apply('aws_instance', launch);
    const volume = await apply('aws_ebs_volume', disk);
    const far = await apply('aws_ebs_volume', { ...disk, availability_zone: 'us-east-1b' });
    const link = (one: Fields, device_name: string): Fields => ({
      instance_id: node.id ?? null,
      volume_id: one.id ?? null,
      device_name,
    });
    await expect(apply('aws_volume_attachment', link(far, '/dev/sdg'))).rejects.toThrow(
      'InvalidVolume.ZoneMismatch',
    );
    const attached = await apply('aws_volume_attachment', link(volume, '/dev/sdf'));
    await expect(apply('aws_volume_attachment', link(volume, '/dev/sdg'))).rejects.toThrow(
      'VolumeInUse',
    );
    expect(await refresh('aws_instance', node)).toMatchObject({
      ebs_block_device: [{ volume_id: volume.id }],
    });
    await destroy('aws_instance', node);
    expect(await refresh('aws_volume_attachment', attached)).toBe(null);
    expect(await refresh('aws_ebs_volume', volume)).toMatchObject({ id: volume.id });
  });

  test('leaves a snapshot if it is to', async () => {
    const state = await apply('aws_ebs_volume', { ...disk, final_snapshot: true });
    await destroy('aws_ebs_volume', state);
    expect(Object.values(world.tables.snapshots)).toMatchObject([{ volume: state.id, size: 20 }]);
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
      'a subnet in no zone',
      'aws_subnet',
      { cidr_block: '10.42.9.0/24', availability_zone: 'us-east-1z' },
      'Value (us-east-1z) for parameter availabilityZone is invalid',
    ],
    [
      'a second group of the name',
      'aws_security_group',
      { name: 'lab' },
      "InvalidGroup.Duplicate: The security group 'lab' already exists",
    ],
    [
      'a second key of the name',
      'aws_key_pair',
      { key_name: 'lab', public_key: KEY },
      'InvalidKeyPair.Duplicate: The keypair already exists',
    ],
    [
      'a key that is none',
      'aws_key_pair',
      { key_name: 'x', public_key: 'ssh-dss AAAA' },
      'InvalidKey.Format',
    ],
  ])('%s is refused', async (_name, type, given, words) => {
    const { vpc } = await makeNetwork();
    const inside =
      'vpc_id' in (schemas.resources[type]?.attributes ?? {}) ? { vpc_id: vpc.id ?? null } : {};
    await expect(apply(type, { ...inside, ...given })).rejects.toThrow(words);
  });

  test('a rule is refused twice, and normalised once', async () => {
    const { group } = await makeNetwork();
    const rule: Fields = {
      security_group_id: group.id ?? null,
      ip_protocol: 'tcp',
      from_port: 22,
      to_port: 22,
      cidr_ipv4: '10.0.0.0/8',
    };
    const state = await apply('aws_vpc_security_group_ingress_rule', rule);
    expect(state).toMatchObject({ id: state.security_group_rule_id, tags_all: { Cluster: 'lab' } });
    await expect(
      apply('aws_vpc_security_group_ingress_rule', { ...rule, ip_protocol: '6' }),
    ).rejects.toThrow('InvalidPermission.Duplicate');
    expect(await refresh('aws_security_group', group)).toMatchObject({
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
    const block = schemas.resources.aws_vpc_security_group_ingress_rule;
    const config = pack(
      shapeFields({ ip_protocol: 'tcp', ...given }, block ?? { attributes: {}, blocks: {} }),
    );
    const { diagnostics = [] } = await ask('ValidateResourceTypeConfig', {
      type_name: 'aws_vpc_security_group_ingress_rule',
      config,
    });
    expect(diagnostics[0]?.detail).toContain(words);
  });
});

describe('data sources', () => {
  const filter = (name: string, ...values: string[]): Fields => ({ name, values });

  test('the newest image of a name', async () => {
    const given: Fields = {
      owners: ['136693071363'],
      most_recent: true,
      filter: [filter('name', 'debian-12-arm64-*')],
    };
    expect(await read('aws_ami', given)).toMatchObject({
      id: debian('arm64'),
      architecture: 'arm64',
    });
    await expect(read('aws_ami', { ...given, most_recent: false })).rejects.toThrow(
      'more than one result',
    );
    await expect(
      read('aws_ami', { ...given, filter: [filter('name', 'debian-99-*')] }),
    ).rejects.toThrow('returned no results');
    await expect(read('aws_ami', { ...given, filter: [filter('colour', 'red')] })).rejects.toThrow(
      "The filter 'colour' is invalid",
    );
  });

  test('zones by name, and those that have a type', async () => {
    const zones = await read('aws_availability_zones', {
      exclude_names: ['us-east-1f'],
      filter: [filter('opt-in-status', 'opt-in-not-required')],
    });
    expect(zones.names).toEqual(['a', 'b', 'c', 'd', 'e'].map((letter) => `us-east-1${letter}`));
    const offers = await read('aws_ec2_instance_type_offerings', {
      location_type: 'availability-zone',
      filter: [filter('instance-type', 't3.small')],
    });
    expect(offers.locations).not.toContain('us-east-1e');
  });

  test('an instance type', async () => {
    expect(await read('aws_ec2_instance_type', { instance_type: 't2.small' })).toMatchObject({
      supported_architectures: ['i386', 'x86_64'],
      memory_size: 2048,
      ebs_optimized_support: 'unsupported',
    });
    await expect(read('aws_ec2_instance_type', { instance_type: 't9.small' })).rejects.toThrow(
      'InvalidInstanceType',
    );
  });

  test('subnets and their VPC', async () => {
    const { vpc, subnet } = await makeNetwork();
    expect(await read('aws_subnets', { filter: [filter('vpc-id', String(vpc.id))] })).toMatchObject(
      { ids: [subnet.id] },
    );
    expect(await read('aws_subnet', { id: subnet.id ?? null })).toMatchObject({
      vpc_id: vpc.id,
      available_ip_address_count: 251,
    });
    expect(await read('aws_vpc', { id: vpc.id ?? null })).toMatchObject({
      cidr_block: '10.42.0.0/16',
    });
    await expect(read('aws_subnet', { id: 'subnet-0' })).rejects.toThrow(
      'no matching EC2 Subnet found',
    );
  });
});

test('what was made survives the process', async () => {
  const { vpc } = await makeNetwork();
  world = new World(directory);
  provider = new Provider(world, noCompute);
  await configure('us-east-1', { Cluster: 'lab' });
  expect(await refresh('aws_vpc', vpc)).toEqual(vpc);
});

test('a thing of another region is read, changed and deleted there', async () => {
  const { vpc } = await makeNetwork();
  await configure('eu-west-1', { Cluster: 'lab' });
  expect(await refresh('aws_vpc', vpc)).toEqual(vpc);
  expect(
    (await plan('aws_vpc', { cidr_block: '10.42.0.0/16', region: 'eu-west-1' }, vpc)).replace,
  ).toEqual(['region']);
});
