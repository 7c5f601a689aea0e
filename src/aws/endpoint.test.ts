import { expect, test } from 'vitest';
import { chooseEndpoint } from './endpoint.ts';

test.each<[string, Record<string, string>, string]>([
  ["the region's", {}, 'https://ec2.eu-west-1.amazonaws.com/'],
  ['every service', { AWS_ENDPOINT_URL: 'http://127.0.0.1:1/' }, 'http://127.0.0.1:1/'],
  [
    'EC2 before every service',
    { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_ENDPOINT_URL_EC2: 'https://vpce-1.example' },
    'https://vpce-1.example/',
  ],
  [
    'an ignored one',
    { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' },
    'https://ec2.eu-west-1.amazonaws.com/',
  ],
])('the endpoint is that of %s', (_name, environment, expected) => {
  expect(chooseEndpoint(environment, 'eu-west-1').href).toBe(expected);
});

test.each(['ec2.example', 'file:///etc/passwd', 'javascript:1'])('%s is refused', (value) => {
  expect(() => chooseEndpoint({ AWS_ENDPOINT_URL_EC2: value }, 'eu-west-1')).toThrow(
    'not an http or https URL',
  );
});
