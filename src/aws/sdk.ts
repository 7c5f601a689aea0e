// The parts of the AWS SDK that the action uses, in one module, so that the bundle has one file with nothing else of
// the SDK. It is imported where it is needed only: most runs ask AWS nothing.
export { defaultProvider } from '@aws-sdk/credential-provider-node';
export { parseXML } from '@aws-sdk/xml-builder';
export { externalDataInterceptor } from '@smithy/core/config';
export { SignatureV4 } from '@smithy/signature-v4';
