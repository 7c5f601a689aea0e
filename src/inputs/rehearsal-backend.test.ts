import { expect, test } from 'vitest';
import { BACKENDS, type BackendConfig } from './backend.ts';
import { deriveRehearsalBackend, explainNoRehearsalState } from './rehearsal-backend.ts';

test.each<[string, BackendConfig, BackendConfig]>([
  ['s3', { key: 'postgres/orders.tfstate' }, { key: 'postgres/orders-rehearsal.tfstate' }],
  ['s3', { key: 'orders/terraform.tfstate' }, { key: 'orders/terraform-rehearsal.tfstate' }],
  ['s3', { key: 'v1.2/orders' }, { key: 'v1.2/orders-rehearsal' }],
  ['s3', { key: 'orders/.tfstate' }, { key: 'orders/.tfstate-rehearsal' }],
  ['s3', { key: 'a.b.tfstate' }, { key: 'a.b-rehearsal.tfstate' }],
  ['azurerm', { key: 'orders.tfstate' }, { key: 'orders-rehearsal.tfstate' }],
  ['cos', { prefix: 'orders' }, { prefix: 'orders', key: 'terraform-rehearsal.tfstate' }],
  ['oss', { prefix: 'orders' }, { prefix: 'orders', key: 'terraform-rehearsal.tfstate' }],
  ['oci', {}, { key: 'terraform-rehearsal.tfstate' }],
  ['gcs', { prefix: 'postgres/orders/' }, { prefix: 'postgres/orders-rehearsal' }],
  ['gcs', { prefix: 'orders-1.2' }, { prefix: 'orders-1.2-rehearsal' }],
  ['gcs', {}, { prefix: 'rehearsal' }],
  ['consul', { path: 'postgres/orders' }, { path: 'postgres/orders-rehearsal' }],
  ['kubernetes', { secret_suffix: 'orders' }, { secret_suffix: 'orders-rehearsal' }],
  ['pg', {}, { schema_name: 'terraform_remote_state-rehearsal' }],
  ['pg', { schema_name: 'orders' }, { schema_name: 'orders-rehearsal' }],
  ['local', {}, { path: 'terraform-rehearsal.tfstate' }],
  ['local', { path: '/srv/orders.tfstate' }, { path: '/srv/orders-rehearsal.tfstate' }],
])('a rehearsal has a state of its own: %s %j', (type, config, derived) => {
  expect(deriveRehearsalBackend({ type, config })).toEqual({ type, config: derived });
});

test('it is in the same place', () => {
  const config = { bucket: 'states', key: 'orders.tfstate', region: 'us-east-1', encrypt: true };
  expect(deriveRehearsalBackend({ type: 's3', config }).config).toEqual({
    ...config,
    key: 'orders-rehearsal.tfstate',
  });
});

test.each<[string, BackendConfig, RegExp]>([
  ['http', { address: 'https://states.example.com/orders' }, /the backend http has no name/],
  ['remote', { organization: 'acme' }, /the backend remote has no name/],
  ['consul', {}, /path is not the name of one/],
  ['azurerm', { key: '' }, /key is not the name of one/],
  ['kubernetes', { secret_suffix: 7 }, /secret_suffix is not the name of one/],
  // PostgreSQL would cut both names to the same 63 bytes.
  ['pg', { schema_name: 's'.repeat(54) }, /Use a name of at most 53\.$/],
  ['pg', { schema_name: 'ä'.repeat(27) }, /Use a name of at most 53\.$/],
])('a backend without room for it is refused: %s %j', (type, config, problem) => {
  expect(explainNoRehearsalState({ type, config })).toMatch(problem);
  expect(() => deriveRehearsalBackend({ type, config })).toThrow(problem);
});

test('every other backend has one', () => {
  const none = BACKENDS.filter((type) =>
    explainNoRehearsalState({ type, config: {} })?.includes('has no name for a second one'),
  );
  expect(none).toEqual(['http', 'remote']);
});
