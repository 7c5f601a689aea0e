import { expect, test } from 'vitest';
import { dropWait, readRoute53Call } from './route53.ts';

test.each([
  ['GET', '/2013-04-01/hostedzone?maxitems=100', 'ListHostedZones'],
  ['GET', '/2013-04-01/hostedzone/Z1', 'GetHostedZone'],
  ['GET', '/2013-04-01/hostedzone/Z1/rrset?type=A', 'ListResourceRecordSets'],
  ['POST', '/2013-04-01/hostedzone/Z1/rrset/', 'ChangeResourceRecordSets'],
  ['GET', '/2013-04-01/change/C1', 'GetChange'],
  ['GET', '/2013-04-01/tags/hostedzone/Z1', 'ListTagsForResource'],
  // No policy allows what is not known.
  ['DELETE', '/2013-04-01/hostedzone/Z1', 'DELETE /hostedzone/Z1'],
])('%s %s is %s', (method, url, name) => {
  expect(readRoute53Call(method, url, '').action).toBe(`route53:${name}`);
});

test('a change has the names and types of its records', () => {
  const record =
    '<Name>a.example.internal</Name><Type>A</Type><ResourceRecords><Value>10.0.0.1</Value></ResourceRecords>';
  const { parameters } = readRoute53Call('POST', '/2013-04-01/hostedzone/Z1/rrset', record);
  expect([...parameters]).toEqual([
    ['Name', 'a.example.internal'],
    ['Type', 'A'],
  ]);
});

test('an answer without its change is not awaited', () => {
  expect(dropWait('<R><ChangeInfo>\n<Id>C1</Id></ChangeInfo></R>')).toBe('<R></R>');
});
