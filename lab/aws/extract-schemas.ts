/**
 * Reads the schemas of the hashicorp/aws provider from its published TypeScript bindings and writes `schemas.json`.
 *
 * The bindings are generated from the provider's own schema, one module per resource. Each compiled module carries
 * its TypeScript in the source map, which lists each attribute with its flags and its type:
 *
 *     // ami - computed: true, optional: true, required: false
 *     private _ami?: string;
 *
 * The package (37 MB) is not a dependency of this project. To refresh the schemas:
 *
 *     dir=$(mktemp -d) && (cd "$dir" && npm pack @cdktf/provider-aws@21 && tar xzf cdktf-provider-aws-*.tgz)
 *     node lab/aws/extract-schemas.ts "$dir/package"
 *
 * The versions of the package and of the provider are recorded in the file.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attribute, Block, CtyType, NestedBlock, Schemas } from './schema.ts';

const RESOURCES = [
  'vpc',
  'subnet',
  'internet_gateway',
  'route_table',
  'route',
  'route_table_association',
  'security_group',
  'vpc_security_group_ingress_rule',
  'vpc_security_group_egress_rule',
  'dlm_lifecycle_policy',
  'key_pair',
  'iam_instance_profile',
  'iam_role',
  'iam_role_policy',
  'instance',
  'ebs_volume',
  'ec2_instance_state',
  'ec2_instance_connect_endpoint',
  'eip',
  'nat_gateway',
  'route53_record',
  'volume_attachment',
  'vpc_endpoint',
];

const DATA_SOURCES = [
  'availability_zones',
  'ami',
  'ec2_instance_type',
  'ec2_instance_type_offerings',
  'subnet',
  'subnets',
  'vpc',
  'caller_identity',
  'region',
  'route53_zone',
];

/** One attribute or block as declared by a class of the bindings. */
interface Member {
  readonly name: string;
  readonly computed: boolean;
  readonly optional: boolean;
  readonly required: boolean;
  readonly declaration: string;
}

function readTypeScript(packageDirectory: string, module: string): string {
  const path = join(packageDirectory, 'lib', module, 'index.js');
  const map = /sourceMappingURL=data:application\/json;base64,(\S+)/.exec(
    readFileSync(path, 'utf8'),
  );
  if (map?.[1] === undefined) throw new Error(`${path} has no inline source map.`);
  const { sourcesContent } = JSON.parse(Buffer.from(map[1], 'base64').toString('utf8'));
  return sourcesContent[0];
}

/** The text of every class of a module, by name. */
function splitClasses(source: string): Map<string, string> {
  const classes = new Map<string, string>();
  for (const part of source.split(/^export class /m).slice(1)) {
    classes.set(/^\w+/.exec(part)?.[0] ?? '', part);
  }
  return classes;
}

/** How nested objects are stored (`list`, `set`, `struct`), by the class that holds them. */
function readStorage(source: string): Map<string, string> {
  const storage = new Map<string, string>();
  const pattern = /type: "(\w+)",\s+storageClassType: "(\w+)"/g;
  for (const [, type = '', holder = ''] of source.matchAll(pattern)) storage.set(holder, type);
  return storage;
}

function readMembers(body: string): Member[] {
  const head =
    /\/\/ (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n/;
  // Splitting by a pattern with four groups yields, after the text before the first: name, three flags, text.
  const parts = body.split(head).slice(1);
  return Array.from({ length: parts.length / 5 }, (_, index) => {
    const [name = '', computed, optional, required, declaration = ''] = parts.slice(index * 5);
    return {
      name,
      computed: computed === 'true',
      optional: optional === 'true',
      required: required === 'true',
      declaration,
    };
  });
}

/** The types of the fields that a `…HclAttributes` or `…ToHclTerraform` function writes, and their TypeScript names. */
function readFields(text: string): { name: string; property: string; type: CtyType }[] {
  const pattern =
    /(\w+): {\s+value: .*(?:struct!\.|this\._)(\w+)\),\s+isBlock: false,\s+type: "(\w+)",\s+storageClassType: "(\w+)"/g;
  return [...text.matchAll(pattern)].map(([, name = '', property = '', type, kept = '']) => {
    const element = kept.startsWith('bool')
      ? 'bool'
      : kept.startsWith('number')
        ? 'number'
        : 'string';
    return { name, property, type: type === 'simple' ? element : ([type, element] as CtyType) };
  });
}

/** The cty type of a member that holds no nested object. */
function readPlainType({ name, declaration }: Member): CtyType {
  if (/this\.getStringMapAttribute|new cdktf\.StringMap\(/.test(declaration))
    return ['map', 'string'];
  const list = /(tolist\()?this\.get(Number)?ListAttribute/.exec(declaration);
  if (list) return [list[1] ? 'set' : 'list', list[2] ? 'number' : 'string'];
  const plain = /this\.get(String|Number|Boolean)Attribute/.exec(declaration)?.[1];
  if (plain === undefined) throw new Error(`Cannot tell the type of ${name}: ${declaration}`);
  return plain === 'String' ? 'string' : plain === 'Number' ? 'number' : 'bool';
}

class Module {
  readonly #source: string;
  readonly #classes: Map<string, string>;
  readonly #storage: Map<string, string>;
  /** The provider's own getters name no type; only the function that writes its configuration does. */
  readonly #providerTypes = new Map<string, CtyType>();

  constructor(source: string) {
    this.#source = source;
    this.#classes = splitClasses(source);
    this.#storage = readStorage(source);
    if (source.includes('extends cdktf.TerraformProvider')) {
      const writer = source.split('synthesizeHclAttributes()')[1] ?? '';
      for (const { name, type } of readFields(writer)) this.#providerTypes.set(name, type);
    }
  }

  get providerVersion(): string {
    return /providerVersion: '([\d.]+)'/.exec(this.#source)?.[1] ?? '';
  }

  /** The block that the class of the resource, data source or provider describes. */
  readRoot(): Block {
    for (const [name, body] of this.#classes) {
      if (/extends cdktf\.Terraform(Resource|DataSource|Provider)/.test(body))
        return this.#readBlock(name);
    }
    throw new Error('The module has no Terraform class.');
  }

  #readBlock(className: string): Block {
    const attributes: Record<string, Attribute> = {};
    const blocks: Record<string, NestedBlock> = {};
    for (const member of readMembers(this.#classes.get(className) ?? '')) {
      const holder = /= new (\w+(?:List|OutputReference))\(this, "\w+"(?:, (true|false))?\)/.exec(
        member.declaration,
      );
      const array = /^\s*private _\w+\?: (\w+)\[\] \| cdktf/.exec(member.declaration)?.[1];
      if (array !== undefined) {
        blocks[member.name] = this.#readArrayBlock(array);
      } else if (holder?.[1] === undefined) {
        const type = this.#providerTypes.get(member.name) ?? readPlainType(member);
        attributes[member.name] = { type, ...pickFlags(member) };
      } else if (member.computed) {
        const collection = holder[2] === 'true' ? 'set' : 'list';
        attributes[member.name] = {
          type: [collection, this.#readObject(holder[1])],
          ...pickFlags(member),
        };
      } else {
        blocks[member.name] = this.#readNested(holder[1], member.required);
      }
    }
    return { attributes, blocks };
  }

  #readNested(holder: string, required: boolean): NestedBlock {
    const base = holder.replace(/(List|OutputReference)$/, '');
    const single = holder.endsWith('OutputReference');
    const kept = this.#storage.get(base) ?? this.#storage.get(`${base}List`);
    const block = this.#readBlock(`${base}OutputReference`);
    if (kept === 'struct') return { nesting: 'single', block };
    if (kept !== 'list' && kept !== 'set') throw new Error(`Cannot tell how ${holder} is nested.`);
    return { nesting: kept, ...(required && { min: 1 }), ...(single && { max: 1 }), block };
  }

  /** The object type behind a computed list or set of objects. */
  #readObject(holder: string): CtyType {
    const { attributes } = this.#readBlock(
      holder.replace(/(List|OutputReference)$/, 'OutputReference'),
    );
    return [
      'object',
      Object.fromEntries(Object.entries(attributes).map(([name, { type }]) => [name, type])),
    ];
  }

  /** The provider's own blocks have no class, only an interface and a function that names each field's type. */
  #readArrayBlock(interfaceName: string): NestedBlock {
    const declared =
      this.#source.split(`export interface ${interfaceName} {`)[1]?.split(/^}/m)[0] ?? '';
    const optional = [...declared.matchAll(/readonly (\w+)\?:/g)].map(([, name]) => name);
    const writer = `${interfaceName[0]?.toLowerCase()}${interfaceName.slice(1)}ToHclTerraform(struct`;
    const fields = this.#source.split(`export function ${writer}`)[1]?.split(/^}/m)[0] ?? '';
    const attributes: Record<string, Attribute> = {};
    for (const { name, property, type } of readFields(fields)) {
      attributes[name] = {
        type,
        ...(optional.includes(property) ? { optional: true } : { required: true }),
      };
    }
    const kept = this.#storage.get(`${interfaceName}List`);
    if (kept !== 'list' && kept !== 'set')
      throw new Error(`Cannot tell how ${interfaceName} is nested.`);
    return { nesting: kept, block: { attributes, blocks: {} } };
  }
}

function pickFlags({ computed, optional, required }: Member): Omit<Attribute, 'type'> {
  return {
    ...(required && { required }),
    ...(optional && { optional }),
    ...(computed && { computed }),
  };
}

function extractSchemas(packageDirectory: string): Schemas {
  const load = (module: string) =>
    new Module(readTypeScript(packageDirectory, module.replaceAll('_', '-')));
  const provider = load('provider');
  const readAll = (names: string[], prefix: string) =>
    Object.fromEntries(names.map((name) => [`aws_${name}`, load(`${prefix}${name}`).readRoot()]));
  const { name, version } = JSON.parse(
    readFileSync(join(packageDirectory, 'package.json'), 'utf8'),
  );
  return {
    source: `npm ${name}@${version}`,
    provider_version: load('instance').providerVersion,
    provider: provider.readRoot(),
    resources: readAll(RESOURCES, ''),
    data_sources: readAll(DATA_SOURCES, 'data_aws_'),
  };
}

const [packageDirectory] = process.argv.slice(2);
if (packageDirectory === undefined) {
  throw new Error('Usage: node lab/aws/extract-schemas.ts <unpacked @cdktf/provider-aws package>');
}
const target = join(import.meta.dirname, 'schemas.json');
writeFileSync(target, `${JSON.stringify(extractSchemas(packageDirectory), null, 1)}\n`);
