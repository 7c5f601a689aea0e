import { ApiError, call } from '../api-error.ts';
import { type Context, numberOrNull, type Resource, text, texts } from '../resource.ts';
import type { Fields } from '../values.ts';
import type { DnsRecord } from '../world.ts';

/** Route 53's names are in lower case, and Terraform's end without a dot. */
const spell = (name: string) => name.toLowerCase().replace(/\.$/, '');

function readRecord(planned: Fields): Omit<DnsRecord, 'id'> {
  return {
    zone: text(planned.zone_id),
    name: spell(text(planned.name)),
    type: text(planned.type),
    ttl: numberOrNull(planned.ttl) ?? 0,
    values: texts(planned.records),
  };
}

function refuseRecord({ zone, name, type }: Omit<DnsRecord, 'id'>, { world }: Context): void {
  const found = world.tables.hostedZones[zone];
  if (found === undefined) {
    throw new ApiError('NoSuchHostedZone', `No hosted zone found with ID: ${zone}`);
  }
  if (name !== found.name && !name.endsWith(`.${found.name}`)) {
    throw new ApiError(
      'InvalidChangeBatch',
      `[RRSet with DNS name ${name}. is not permitted in zone ${found.name}.]`,
    );
  }
  const others = Object.values(world.tables.records);
  if (others.some((one) => one.zone === zone && one.name === name && one.type === type)) {
    throw new ApiError(
      'InvalidChangeBatch',
      `[Tried to create resource record set [name='${name}.', type='${type}'] but it already exists]`,
    );
  }
}

/** `aws_route53_record` with values of its own. */
export const route53Record: Resource = {
  rules: { forceNew: ['name', 'set_identifier', 'zone_id'], spellings: { name: spell } },

  async create(planned, context) {
    const record = readRecord(planned);
    await call('creating Route53 Record', 'Route 53:ChangeResourceRecordSets', () =>
      refuseRecord(record, context),
    );
    const id = `${record.zone}_${record.name}_${record.type}`;
    context.world.tables.records[id] = { id, ...record };
    return id;
  },

  read(id, { world }) {
    const found = world.tables.records[id];
    if (found === undefined) return undefined;
    return {
      id,
      fqdn: found.name,
      health_check_id: '',
      multivalue_answer_routing_policy: false,
      name: found.name,
      records: found.values,
      set_identifier: '',
      ttl: found.ttl,
      type: found.type,
      zone_id: found.zone,
    };
  },

  async update(id, { planned }, { world }) {
    const found = world.tables.records[id];
    if (found !== undefined) Object.assign(found, readRecord(planned));
    return undefined;
  },

  async delete(id, _recorded, { world }) {
    delete world.tables.records[id];
  },

  import: (id) => ({ id }),
};
