#!/usr/bin/env node
// gh (GitHub CLI) for the test of setup/github.sh: keeps a repository in the file that STUB_STATE names, and records each
// call. --jq is run by jq, which speaks the same language as gh's own. STUB_FAIL: the number of the changing call that
// fails. STUB_LOGIN=no: nobody is logged in.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const file = process.env.STUB_STATE;
const state = JSON.parse(readFileSync(file, 'utf8'));
const args = process.argv.slice(2);

function end(code, message = '') {
  writeFileSync(file, JSON.stringify(state));
  if (message) process.stderr.write(`${message}\n`);
  process.exit(code);
}

/** Records a call that changes something; fails instead if it is the one that shall fail. */
function change(what, input) {
  state.calls.push({ what, args, input });
  if (String(state.calls.length) === process.env.STUB_FAIL) {
    state.calls.pop();
    end(1, process.env.STUB_ERROR ?? 'gh: Server Error (HTTP 502)');
  }
}

const readInput = () => readFileSync(0, 'utf8');

if (args[0] === 'auth') end(process.env.STUB_LOGIN === 'no' ? 1 : 0);

if (args[0] === 'secret') {
  const [, , name, , repository, , environment] = args;
  const input = readInput();
  if (repository !== 'me/databases') end(1, 'gh: Not Found (HTTP 404)');
  change(`secret ${environment} ${name}`, input);
  state.environments[environment].secrets[name] = input.replace(/[\r\n]+$/, '');
  end(0);
}

let method = 'GET';
let query = '.';
let input;
const fields = {};
const [, ...rest] = args;
const paths = [];
for (let index = 0; index < rest.length; index++) {
  const next = rest[index + 1] ?? '';
  if (rest[index] === '-X') method = next;
  else if (rest[index] === '--jq') query = next;
  else if (rest[index] === '--input') input = JSON.parse(readInput());
  else if (rest[index] === '-f') fields[next.split('=')[0]] = next.slice(next.indexOf('=') + 1);
  else {
    paths.push(rest[index]);
    continue;
  }
  index++;
}
const path = paths[0].split('?')[0].replace('repos/me/databases', '');
const body = input ?? fields;

function answer(value) {
  if (value === undefined) end(1, 'gh: Not Found (HTTP 404)');
  const { status, stdout, stderr } = spawnSync('jq', ['-r', query], {
    input: JSON.stringify(value),
    encoding: 'utf8',
  });
  process.stdout.write(stdout);
  end(status, stderr);
}

const read = /^\/environments\/([^/]+)(?:\/(.*))?$/.exec(path);
const environment = read ? state.environments[read[1]] : undefined;
const part = read?.[2] ?? '';
if (method === 'GET') {
  if (path === '') answer(state.repository);
  if (path.startsWith('users/')) answer(path === 'users/ada' ? { id: 7 } : undefined);
  if (read && environment === undefined) answer(undefined);
  if (read && part === '') answer(environment.settings);
  if (part === 'deployment-branch-policies') answer({ branch_policies: environment.policies });
  if (part === 'secrets') {
    answer({ secrets: Object.keys(environment.secrets).map((name) => ({ name })) });
  }
  if (part.startsWith('variables/')) {
    const value = environment.variables[part.slice('variables/'.length)];
    answer(value === undefined ? undefined : { value });
  }
  if (path === '/actions/secrets') answer({ secrets: state.secrets.map((name) => ({ name })) });
  if (path.startsWith('/labels/')) answer(state.labels[path.slice('/labels/'.length)]);
  if (path === '/rulesets') answer(state.rulesets);
  if (path.startsWith('/rulesets/')) answer(state.rulesets[0]);
  end(1, `gh: the stub does not know ${path}`);
}
change(`${method} ${path}`, body);
if (read && part === '') {
  const before = environment ?? { policies: [], secrets: {}, variables: {} };
  const rules = body.reviewers ? [{ type: 'required_reviewers', reviewers: body.reviewers }] : [];
  state.environments[read[1]] = {
    ...before,
    settings: {
      deployment_branch_policy: body.deployment_branch_policy,
      protection_rules: [...rules, { type: 'branch_policy' }],
    },
  };
} else if (part === 'deployment-branch-policies') environment.policies.push(body);
else if (part.startsWith('variables')) environment.variables[body.name] = body.value;
else if (path === '/labels') state.labels[body.name] = body;
else if (path === '/rulesets') state.rulesets.push({ id: 1, bypass_actors: [], ...body });
else if (path === '/rulesets/1') state.rulesets[0] = { id: 1, ...body };
else end(1, `gh: the stub does not know ${method} ${path}`);
answer({});
