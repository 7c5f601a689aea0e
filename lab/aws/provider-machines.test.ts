import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeInstanceProfile } from './iam.ts';
import { debian, ProviderClient } from './provider-client.ts';
import { type Fields, UNKNOWN } from './values.ts';

let aws: ProviderClient;
beforeEach(async () => {
  aws = await ProviderClient.open();
});
afterEach(() => aws.close());

describe('an instance', () => {
  test('is recorded with the values that EC2 sets', async () => {
    const { launch, group } = await aws.makeNetwork();
    const state = await aws.apply('aws_instance', { ...launch, tags: { Name: 'node-1' } });
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
    expect(await aws.refresh('aws_instance', state)).toEqual(state);
    expect(
      (await aws.plan('aws_instance', { ...launch, tags: { Name: 'node-1' } }, state)).planned,
    ).toEqual(state);
  });

  test('of another type is stopped and started and gets a different public address', async () => {
    const { launch } = await aws.makeNetwork();
    const before = await aws.apply('aws_instance', launch);
    const other = { ...launch, instance_type: 't3.large' };
    const { planned, replace } = await aws.plan('aws_instance', other, before);
    expect(replace).toEqual([]);
    expect(planned).toMatchObject({
      public_ip: UNKNOWN,
      public_dns: UNKNOWN,
      private_ip: before.private_ip,
    });
    const after = await aws.apply('aws_instance', other, before);
    expect(after.id).toBe(before.id);
    expect(after.public_ip).not.toBe(before.public_ip);
  });

  test.each<[string, Fields, string[]]>([
    ['another architecture', { instance_type: 't4g.small' }, ['instance_type']],
    ['another image', { ami: debian('arm64') }, ['ami']],
    ['another key', { key_name: 'other' }, ['key_name']],
    ['user data', { user_data: 'x' }, []],
    [
      'user data with user_data_replace_on_change',
      { user_data: 'x', user_data_replace_on_change: true },
      ['user_data'],
    ],
    ['an instance profile', { iam_instance_profile: 'nodes' }, []],
    ['protection', { disable_api_termination: true }, []],
    [
      'an encrypted root',
      { root_block_device: [{ encrypted: true }] },
      ['root_block_device.0.encrypted'],
    ],
    ['a larger root', { root_block_device: [{ volume_size: 20, encrypted: false }] }, []],
  ])('is replaced or not by %s', async (_name, change, expected) => {
    const { launch } = await aws.makeNetwork();
    const state = await aws.apply('aws_instance', launch);
    expect((await aws.plan('aws_instance', { ...launch, ...change }, state)).replace).toEqual(
      expected,
    );
  });

  test.each<[string, Fields, string]>([
    [
      'an unknown type',
      { instance_type: 't9.small' },
      "InvalidParameterValue: Invalid value 't9.small' for InstanceType.",
    ],
    [
      'an architecture other than the image’s',
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
    [
      'no such instance profile',
      { iam_instance_profile: 'nobody' },
      'InvalidParameterValue: Value (nobody) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name',
    ],
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
    const { launch } = await aws.makeNetwork();
    await expect(aws.apply('aws_instance', { ...launch, ...change })).rejects.toThrow(words);
    expect(Object.keys(aws.tables.instances)).toEqual([]);
  });

  test('changes its instance profile in place, and keeps it where none is configured', async () => {
    const { launch } = await aws.makeNetwork();
    aws.tables.instanceProfiles.nodes = makeInstanceProfile('nodes');
    const bare = await aws.apply('aws_instance', launch);
    expect(bare.iam_instance_profile).toBe('');
    const other = { ...launch, iam_instance_profile: 'nobody' };
    await expect(aws.apply('aws_instance', other, bare)).rejects.toThrow(
      /updating EC2 Instance \(i-\w+\): associating instance profile: operation error EC2: AssociateIamInstanceProfile, .* Invalid IAM Instance Profile name/,
    );
    const named = { ...launch, iam_instance_profile: 'nodes' };
    const state = await aws.apply('aws_instance', named, bare);
    expect(state).toMatchObject({ id: bare.id, iam_instance_profile: 'nodes' });
    expect((await aws.plan('aws_instance', launch, state)).planned).toEqual(state);
  });

  test('is refused in a zone that does not have its type', async () => {
    const { vpc, launch } = await aws.makeNetwork();
    const subnet = await aws.apply('aws_subnet', {
      vpc_id: vpc.id ?? null,
      cidr_block: '10.42.9.0/24',
      availability_zone: 'us-east-1e',
    });
    const there = { ...launch, subnet_id: subnet.id ?? null };
    await expect(aws.apply('aws_instance', there)).rejects.toThrow(
      'not supported in your requested Availability Zone (us-east-1e)',
    );
    expect(await aws.apply('aws_instance', { ...there, instance_type: 't2.small' })).toMatchObject({
      availability_zone: 'us-east-1e',
    });
  });

  test('that is protected stays unless force_destroy was applied before', async () => {
    const { launch } = await aws.makeNetwork();
    const guarded = await aws.apply('aws_instance', { ...launch, disable_api_termination: true });
    await expect(aws.destroy('aws_instance', guarded)).rejects.toThrow(
      /OperationNotPermitted.*may not be terminated/,
    );
    const forced = await aws.apply(
      'aws_instance',
      { ...launch, disable_api_termination: true, force_destroy: true },
      guarded,
    );
    await aws.destroy('aws_instance', forced);
    expect(await aws.refresh('aws_instance', forced)).toBe(null);
  });

  test('gets its own address when ten are created at once', async () => {
    const { launch } = await aws.makeNetwork();
    const all = await Promise.all(
      Array.from({ length: 10 }, () => aws.apply('aws_instance', launch)),
    );
    expect(new Set(all.map(({ private_ip }) => private_ip)).size).toBe(10);
    expect(new Set(all.map(({ public_ip }) => public_ip)).size).toBe(10);
  });
});

describe('a volume', () => {
  const disk: Fields = { availability_zone: 'us-east-1a', size: 20, type: 'gp3', encrypted: true };

  test('has the rates of its type', async () => {
    expect(await aws.apply('aws_ebs_volume', disk)).toMatchObject({
      iops: 3000,
      throughput: 125,
      final_snapshot: false,
    });
    expect(await aws.apply('aws_ebs_volume', { ...disk, type: 'gp2', size: 100 })).toMatchObject({
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
    const state = await aws.apply('aws_ebs_volume', disk);
    expect((await aws.plan('aws_ebs_volume', { ...disk, ...change }, state)).replace).toEqual(
      expected,
    );
  });

  test('does not change with its timeouts alone; the next change records them', async () => {
    const before = await aws.apply('aws_ebs_volume', disk);
    const patient: Fields = { ...disk, timeouts: { delete: '3h' } };
    expect((await aws.plan('aws_ebs_volume', patient, before)).planned).toEqual(before);
    expect(await aws.apply('aws_ebs_volume', { ...patient, size: 30 }, before)).toMatchObject({
      timeouts: { delete: '3h' },
    });
    expect(await aws.apply('aws_ebs_volume', patient)).toMatchObject({
      timeouts: { delete: '3h' },
    });
  });

  test('grows and never shrinks', async () => {
    const small = await aws.apply('aws_ebs_volume', disk);
    await expect(aws.apply('aws_ebs_volume', { ...disk, size: 10 }, small)).rejects.toThrow(
      'New size cannot be smaller than existing size',
    );
    const grown = await aws.apply('aws_ebs_volume', { ...disk, size: 30 }, small);
    expect(grown).toMatchObject({ id: small.id, size: 30 });
  });

  test.each<[string, Fields, string]>([
    ['an unknown zone', { availability_zone: 'us-east-1z' }, 'InvalidZone.NotFound'],
    ['too large', { size: 99999 }, 'InvalidParameterValue'],
    ['an unknown type', { type: 'constructor' }, 'Volume type constructor is invalid'],
  ])('is refused: %s', async (_name, change, words) => {
    await expect(aws.apply('aws_ebs_volume', { ...disk, ...change })).rejects.toThrow(words);
  });

  test('attaches in its own zone, once, and appears on the instance', async () => {
    const { launch } = await aws.makeNetwork();
    const node = await aws.apply('aws_instance', launch);
    const volume = await aws.apply('aws_ebs_volume', disk);
    const far = await aws.apply('aws_ebs_volume', { ...disk, availability_zone: 'us-east-1b' });
    const link = (one: Fields, device_name: string): Fields => ({
      instance_id: node.id ?? null,
      volume_id: one.id ?? null,
      device_name,
    });
    await expect(aws.apply('aws_volume_attachment', link(far, '/dev/sdg'))).rejects.toThrow(
      'InvalidVolume.ZoneMismatch',
    );
    const attached = await aws.apply('aws_volume_attachment', link(volume, '/dev/sdf'));
    await expect(aws.apply('aws_volume_attachment', link(volume, '/dev/sdg'))).rejects.toThrow(
      'VolumeInUse',
    );
    expect(await aws.refresh('aws_instance', node)).toMatchObject({
      ebs_block_device: [{ volume_id: volume.id }],
    });
    await aws.destroy('aws_instance', node);
    expect(await aws.refresh('aws_volume_attachment', attached)).toBe(null);
    expect(await aws.refresh('aws_ebs_volume', volume)).toMatchObject({ id: volume.id });
  });

  test('leaves a snapshot if one is requested', async () => {
    const state = await aws.apply('aws_ebs_volume', { ...disk, final_snapshot: true });
    await aws.destroy('aws_ebs_volume', state);
    expect(Object.values(aws.tables.snapshots)).toMatchObject([{ volume: state.id, size: 20 }]);
  });
});
