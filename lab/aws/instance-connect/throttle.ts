import { Transform } from 'node:stream';

/** What a tunnel may transfer in each direction: so many bytes at once, then so many a second. */
export interface Throttle {
  burstBytes: number;
  bytesPerSecond: number;
}

/** A stream that passes bytes on as a token bucket allows: https://en.wikipedia.org/wiki/Token_bucket. */
export function makeThrottle({ burstBytes, bytesPerSecond }: Throttle): Transform {
  let tokens = burstBytes;
  let filled = Date.now();
  let timer: NodeJS.Timeout | undefined;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const now = Date.now();
      tokens = Math.min(burstBytes, tokens + ((now - filled) / 1000) * bytesPerSecond);
      filled = now;
      tokens -= chunk.length;
      if (tokens >= 0) done(null, chunk);
      else timer = setTimeout(done, (-tokens / bytesPerSecond) * 1000, null, chunk);
    },
    destroy(error, done) {
      clearTimeout(timer);
      done(error);
    },
  });
}
