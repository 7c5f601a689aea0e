// Runs the action's network calls in a separate process, because Node reads NODE_EXTRA_CA_CERTS
// when it starts. `ask API-URL TOKEN` asks GitHub, `install RELEASES-URL SUMS` (JSON, by platform) installs
// Terraform. The last line is the result as JSON.
import { createClient } from '../../src/github/client.ts';
import { findLogin } from '../../src/github/login.ts';
import { installTerraform } from '../../src/terraform/install.ts';

const log = (line: string): void => console.error(line);

async function ask(apiUrl: string, token: string): Promise<unknown> {
  const client = createClient({ token, apiUrl, log, second: 1 });
  const repository = { owner: 'acme', repo: 'database' };
  const { data } = await client.request('GET /repos/{owner}/{repo}', repository);
  return { repository: data.full_name, login: await findLogin(client) };
}

const [command, url = '', value = ''] = process.argv.slice(2);
try {
  const result =
    command === 'ask'
      ? await ask(url, value)
      : await installTerraform({ releasesUrl: url, sums: JSON.parse(value), log });
  console.log(JSON.stringify(result));
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }));
}
