import type { ApiCall } from './front.ts';

const ROOT = '/2013-04-01';

/** Route 53's operations by method and path (Amazon Route 53 API Reference). Those that nothing here calls are missing. */
const OPERATIONS: readonly [method: string, path: RegExp, name: string][] = [
  ['GET', /^\/hostedzone$/, 'ListHostedZones'],
  ['GET', /^\/hostedzone\/[^/]+$/, 'GetHostedZone'],
  ['GET', /^\/hostedzone\/[^/]+\/rrset\/?$/, 'ListResourceRecordSets'],
  ['POST', /^\/hostedzone\/[^/]+\/rrset\/?$/, 'ChangeResourceRecordSets'],
  ['GET', /^\/change\/[^/]+$/, 'GetChange'],
  ['GET', /^\/tags\/hostedzone\/[^/]+$/, 'ListTagsForResource'],
];

/**
 * Names a call of Route 53, whose API is one of paths and XML. The parameters are the names and types of the records that
 * it changes. An unknown call is named by its path, so that no policy allows it.
 */
export function readRoute53Call(method: string, url: string, body: string): ApiCall {
  const path = url.split('?')[0]?.replace(ROOT, '') ?? '';
  const found = OPERATIONS.find(([known, pattern]) => known === method && pattern.test(path));
  const parameters = new URLSearchParams();
  for (const [, name = '', value = ''] of body.matchAll(/<(Name|Type)>([^<]*)<\/\1>/g)) {
    parameters.append(name, value);
  }
  return {
    action: `route53:${found?.[2] ?? `${method} ${path}`}`,
    parameters,
  };
}

/** The request that makes a private zone. */
export function renderZone(name: string, { region, vpc }: { region: string; vpc: string }) {
  return {
    path: `${ROOT}/hostedzone`,
    body: `<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc${ROOT}/"><Name>${name}</Name><VPC><VPCRegion>${region}</VPCRegion><VPCId>${vpc}</VPCId></VPC><CallerReference>lab</CallerReference><HostedZoneConfig><Comment>lab</Comment><PrivateZone>true</PrivateZone></HostedZoneConfig></CreateHostedZoneRequest>`,
  };
}

/**
 * Takes from an answer what makes the provider wait for 10 to 30 seconds until a change is known everywhere (its
 * `waitChangeInsync`): an answer without it is complete at once.
 */
export function dropWait(answer: string): string {
  return answer.replace(/<ChangeInfo>.*?<\/ChangeInfo>/s, '');
}
