import { ProviderError } from './api-error.ts';
import { findRegion } from './catalogue/regions.ts';
import { firstBlock, text } from './resource.ts';
import { type Fields, isFields } from './values.ts';
import type { Tags } from './world.ts';

/** A provider configuration: the region, and the tags of all resources. */
export interface Settings {
  readonly region: string;
  readonly defaultTags: Tags;
}

/** Reads a provider block's values; missing ones come from the environment, as with the real provider. */
export function readSettings(config: Fields): Settings {
  const tags = firstBlock(config.default_tags).tags;
  return {
    region: text(config.region) || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION || '',
    defaultTags: isFields(tags) ? (tags as Tags) : {},
  };
}

/** Throws a ProviderError if the region does not exist or refuses the account's credentials. */
export function checkSettings({ region }: Settings, config: Fields): void {
  if (region === '') throw new ProviderError('invalid AWS Region: ');
  const found = findRegion(region);
  if (found === 'absent' && config.skip_region_validation !== true) {
    throw new ProviderError(`invalid AWS Region: ${region}`);
  }
  if (found === 'opt-in') {
    throw new ProviderError(
      `validating provider credentials: retrieving caller identity from STS: operation error STS: GetCallerIdentity, https response error StatusCode: 403, api error InvalidClientTokenId: The security token included in the request is invalid. (The region ${region} must be opted in to first.)`,
    );
  }
}
