import { describe, expect, test } from 'vitest';
import type { Endpoint } from '../instance-connect/endpoint.ts';
import type { Instance, Rule, Tables } from '../world.ts';
import { writeFirewall } from './firewall.ts';

const rule = (fields: Partial<Rule>): Rule => ({
  id: 'sgr-1',
  region: 'us-east-1',
  group: 'sg-1',
  egress: false,
  protocol: 'tcp',
  from: 22,
  to: 22,
  cidrIpv4: null,
  cidrIpv6: null,
  prefixList: null,
  referencedGroup: null,
  description: null,
  tags: {},
  ...fields,
});

const machine = (fields: Partial<Instance>) =>
  ({
    id: 'i-1',
    subnet: 'subnet-1',
    groups: ['sg-1'],
    publicIp: '10.99.1.0',
    privateIp: '10.42.0.4',
    ...fields,
  }) as Instance;

const world = (rules: Rule[], instances: Instance[] = [machine({})]) =>
  ({
    rules: Object.fromEntries(rules.map((one, index) => [`${index}`, one])),
    instances: Object.fromEntries(instances.map((one) => [one.id, one])),
    endpoints: {},
    subnets: { 'subnet-1': { vpc: 'vpc-1' } },
    vpcs: { 'vpc-1': { mainRouteTable: 'rtb-main' } },
    gateways: { 'igw-1': { vpc: 'vpc-1' } },
    natGateways: {},
    routeTables: {
      'rtb-main': { associations: [], routes: [{ destination: '0.0.0.0/0', gateway: 'igw-1' }] },
    },
  }) as unknown as Tables;

const read = (text: string, chain: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`-A ${chain} `) && !line.includes('ESTABLISHED'))
    .map((line) => line.replace(`-A ${chain} `, ''));

describe('firewall rules', () => {
  test.each<[string, Partial<Rule>, string]>([
    [
      'a port from a range',
      { cidrIpv4: '10.99.0.1/32' },
      '-s 10.99.0.1/32 -p tcp --dport 22:22 -j RETURN',
    ],
    [
      'a range of UDP ports',
      { cidrIpv4: '10.0.0.0/8', protocol: 'udp', from: 1, to: 9 },
      '-s 10.0.0.0/8 -p udp --dport 1:9 -j RETURN',
    ],
    [
      'everything',
      { cidrIpv4: '0.0.0.0/0', protocol: '-1', from: null, to: null },
      '-s 0.0.0.0/0 -j RETURN',
    ],
    [
      'all of ICMP',
      { cidrIpv4: '0.0.0.0/0', protocol: 'icmp', from: -1, to: -1 },
      '-s 0.0.0.0/0 -p icmp -j RETURN',
    ],
    [
      'one kind of ICMP',
      { cidrIpv4: '0.0.0.0/0', protocol: 'icmp', from: 8, to: -1 },
      '-s 0.0.0.0/0 -p icmp --icmp-type 8 -j RETURN',
    ],
    [
      'another protocol',
      { cidrIpv4: '0.0.0.0/0', protocol: '50', from: null, to: null },
      '-s 0.0.0.0/0 -p 50 -j RETURN',
    ],
  ])('%s', (_name, fields, expected) => {
    expect(read(writeFirewall(machine({}), world([rule(fields)])), 'LAB-IN')).toEqual([
      expected,
      '-j DROP',
    ]);
  });

  test('a referenced group becomes the private addresses of its members', () => {
    const other = machine({ id: 'i-2', privateIp: '10.42.0.5', groups: ['sg-2'] });
    const text = writeFirewall(
      machine({}),
      world([rule({ referencedGroup: 'sg-2' })], [machine({}), other]),
    );
    expect(read(text, 'LAB-IN')).toEqual([
      '-s 10.42.0.5/32 -p tcp --dport 22:22 -j RETURN',
      '-j DROP',
    ]);
  });

  test('a group without members opens nothing, and rules of other groups do not apply', () => {
    const rules = [
      rule({ referencedGroup: 'sg-9' }),
      rule({ group: 'sg-2', cidrIpv4: '0.0.0.0/0' }),
    ];
    expect(read(writeFirewall(machine({}), world(rules)), 'LAB-IN')).toEqual(['-j DROP']);
  });

  test('without an egress rule all outgoing traffic is blocked', () => {
    expect(
      read(writeFirewall(machine({}), world([rule({ cidrIpv4: '0.0.0.0/0' })])), 'LAB-OUT'),
    ).toEqual(['-j DROP']);
    const open = world([rule({ egress: true, protocol: '-1', cidrIpv4: '0.0.0.0/0' })]);
    expect(read(writeFirewall(machine({}), open), 'LAB-OUT')).toEqual([
      '-d 0.0.0.0/0 -j RETURN',
      '-j DROP',
    ]);
  });
});

test('port 22 is open to an endpoint, by the groups of both sides', () => {
  const endpoint = { id: 'eice-1', subnet: 'subnet-1', groups: ['sg-2'], privateIp: '10.42.0.6' };
  const tables = world([
    rule({ group: 'sg-1', referencedGroup: 'sg-2' }),
    rule({ group: 'sg-2', referencedGroup: 'sg-1', egress: true }),
  ]);
  tables.endpoints = { 'eice-1': endpoint as unknown as Endpoint };
  expect(read(writeFirewall(machine({}), tables), 'LAB-IN')).toEqual([
    '-s 10.42.0.6/32 -p tcp --dport 22:22 -j RETURN',
    '-j DROP',
  ]);
  expect(read(writeFirewall(endpoint, tables), 'LAB-OUT')).toEqual([
    '-d 10.42.0.4/32 -p tcp --dport 22:22 -j RETURN',
    '-j DROP',
  ]);
  expect(read(writeFirewall(endpoint, tables), 'LAB-IN')).toEqual(['-j DROP']);
});

test('without a route to the gateway the public address is unreachable', () => {
  const tables = world([rule({ cidrIpv4: '0.0.0.0/0' })]);
  tables.gateways = {};
  expect(read(writeFirewall(machine({}), tables), 'LAB-IN')[0]).toBe('-d 10.99.1.0 -j DROP');
});
