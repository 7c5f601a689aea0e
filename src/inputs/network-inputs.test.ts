import { describe, expect, test } from 'vitest';
import { readStep } from './input-fixtures.ts';

const ENDPOINT = 'eice-0a1b2c3d4e5f60718';

describe('the way to the nodes', () => {
  test('is direct if networks are given, as it was for every existing cluster', () => {
    expect(readStep().inputs?.spec.ssh).toEqual({ via: 'direct', endpointId: null, address: null });
  });

  test('is an endpoint without networks', () => {
    const { inputs, problems } = readStep({ 'ssh-cidrs': '' });
    expect(problems).toEqual([]);
    expect(inputs?.spec.ssh.via).toBe('instance-connect-endpoint');
  });

  test('is the given one, also beside networks for people', () => {
    const { inputs } = readStep({ 'ssh-via': 'instance-connect-endpoint' });
    expect(inputs?.spec.ssh.via).toBe('instance-connect-endpoint');
    expect(inputs?.spec.sshCidrs).toEqual(['203.0.113.0/24']);
  });

  test.each([
    [{ 'ssh-cidrs': '', 'instance-connect-endpoint-id': ENDPOINT }],
    [{ 'ssh-cidrs': '', 'ssh-address': 'private' }],
    [{ 'ssh-cidrs': '', 'internet-via': 'nat-gateway' }],
    [{ 'ssh-address': 'public' }],
    [{ 'ssh-address': 'private', 'internet-via': 'nat-gateway' }],
    [{ 'subnet-ids': 'subnet-0a1b2c3d4e5f60718', 'internet-via': 'nat-gateway' }],
    [{ 'avoid-zones': 'us-east-1a, us-east-1e' }],
    [{ 'dns-zone-id': 'Z0123456789ABCDEFGHIJ' }],
  ])('can be %o', (inputs) => {
    expect(readStep(inputs).problems).toEqual([]);
  });

  test.each([
    [
      { 'ssh-via': 'direct', 'ssh-cidrs': '' },
      /^ssh-cidrs: missing\. With ssh-via: direct .* or leave ssh-via out/,
    ],
    [
      { 'instance-connect-endpoint-id': ENDPOINT },
      /^instance-connect-endpoint-id: "eice-\w+" is not allowed, because ssh-cidrs is given without ssh-via/,
    ],
    [
      { 'ssh-via': 'direct', 'instance-connect-endpoint-id': ENDPOINT },
      /^instance-connect-endpoint-id: .* because ssh-via is direct\. Set ssh-via/,
    ],
    [
      { 'ssh-cidrs': '', 'ssh-address': 'public' },
      /^ssh-address: public is not allowed\. .* private addresses/,
    ],
    [
      { 'internet-via': 'nat-gateway' },
      /^internet-via: nat-gateway gives the nodes no public addresses, and ssh-cidrs is given/,
    ],
    [{ 'ssh-via': 'endpoint' }, /^ssh-via: "endpoint" is not allowed/],
    [
      { 'ssh-cidrs': '', 'instance-connect-endpoint-id': 'eice-1' },
      /^instance-connect-endpoint-id: "eice-1"/,
    ],
    [{ 'avoid-zones': 'us-east-1' }, /^avoid-zones: .* Found "us-east-1" in the list/],
    [{ 'avoid-zones': 'eu-west-1a' }, /^avoid-zones: "eu-west-1a" .* no zone of us-east-1/],
    [{ 'dns-zone-id': 'example.internal' }, /^dns-zone-id: "example.internal"/],
  ])('cannot be %o', (inputs, message) => {
    expect(readStep(inputs).problems).toEqual([expect.stringMatching(message)]);
  });
});
