/** The regions that are enabled in every new AWS account, with the letters of their zones. */
const ENABLED: { readonly [region: string]: string } = {
  'ap-northeast-1': 'acd',
  'ap-northeast-2': 'abcd',
  'ap-northeast-3': 'abc',
  'ap-south-1': 'abc',
  'ap-southeast-1': 'abc',
  'ap-southeast-2': 'abc',
  'ca-central-1': 'abd',
  'eu-central-1': 'abc',
  'eu-north-1': 'abc',
  'eu-west-1': 'abc',
  'eu-west-2': 'abc',
  'eu-west-3': 'abc',
  'sa-east-1': 'abc',
  'us-east-1': 'abcdef',
  'us-east-2': 'abc',
  'us-west-1': 'ac',
  'us-west-2': 'abcd',
};

/** Regions that an account must opt in to; before that its credentials are not valid there. */
const OPT_IN = [
  'af-south-1',
  'ap-east-1',
  'ap-south-2',
  'ap-southeast-3',
  'ap-southeast-4',
  'ap-southeast-5',
  'ap-southeast-7',
  'ca-west-1',
  'eu-central-2',
  'eu-south-1',
  'eu-south-2',
  'il-central-1',
  'me-central-1',
  'me-south-1',
  'mx-central-1',
];

/** All regions that exist. */
export function listRegions(): string[] {
  return [...Object.keys(ENABLED), ...OPT_IN];
}

/** Whether a region is usable with the account's credentials, requires an opt-in first, or does not exist. */
export function findRegion(region: string): 'enabled' | 'opt-in' | 'absent' {
  if (Object.hasOwn(ENABLED, region)) return 'enabled';
  return OPT_IN.includes(region) ? 'opt-in' : 'absent';
}

/** The names of a region's zones in order, e.g. `us-east-1a`; empty for a region that is not enabled. */
export function listZones(region: string): string[] {
  return [...(Object.hasOwn(ENABLED, region) ? (ENABLED[region] ?? '') : '')].map(
    (letter) => `${region}${letter}`,
  );
}

const DIRECTIONS: { readonly [word: string]: string } = {
  central: 'c',
  east: 'e',
  north: 'n',
  northeast: 'ne',
  south: 's',
  southeast: 'se',
  west: 'w',
};

/** A zone's identity across accounts, e.g. `use1-az1` for `us-east-1a`. */
export function readZoneId(zone: string): string {
  const region = zone.slice(0, -1);
  const [area = '', direction = '', number = ''] = region.split('-');
  const order = zone.charCodeAt(zone.length - 1) - 'a'.charCodeAt(0) + 1;
  return `${area}${DIRECTIONS[direction] ?? ''}${number}-az${order}`;
}
