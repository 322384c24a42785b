/** The rule of the door on a laptop, case by case. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerDoor, type DoorAnswer, type DoorRequest } from './loopback-door.ts';

const cases: Record<string, Partial<DoorRequest> & { readonly want: DoorAnswer }> = {
  'lets the owner in on loopback': { want: 'owner' },
  'lets the owner in by name': { host: 'localhost:5000', want: 'owner' },
  'lets the owner in by a name below localhost': { host: 'Tracking.localhost', want: 'owner' },
  'lets the owner in on any loopback address': { listenHost: '127.4.5.6', host: '127.4.5.6:80', want: 'owner' },
  'lets the owner in over IPv6': { listenHost: '::1', host: '[::1]:5000', want: 'owner' },
  'lets in the page that it served itself': { origin: 'http://127.0.0.1:5000', want: 'owner' },
  'lets in by a name that was allowed': {
    host: 'tracking.athanor:5000',
    allowedHosts: ['tracking.athanor'],
    want: 'owner',
  },
  'checks a token even on loopback': { bearerToken: 't', want: 'check-token' },
  'checks an empty token': { bearerToken: '', want: 'check-token' },
  'checks a token from anywhere': { listenHost: '0.0.0.0', host: 'x.example', bearerToken: 't', want: 'check-token' },
  'refuses another listener': { listenHost: '0.0.0.0', want: 'refuse' },
  'refuses another name (DNS rebinding)': { host: 'evil.example:5000', want: 'refuse' },
  'refuses a name that only begins like loopback': { host: '127.0.0.1.evil.example', want: 'refuse' },
  'refuses a number that is no address': { host: '127.0.0.999', want: 'refuse' },
  'refuses a name that ends like localhost': { host: 'evillocalhost', want: 'refuse' },
  'refuses a request without Host': { host: undefined, want: 'refuse' },
  'refuses another site': { origin: 'https://evil.example', want: 'refuse' },
  'refuses another port of this machine': { origin: 'http://127.0.0.1:8888', want: 'refuse' },
  'refuses an opaque origin': { origin: 'null', want: 'refuse' },
};

for (const [sentence, { want, ...request }] of Object.entries(cases)) {
  test(`answerDoor() ${sentence}`, () => {
    assert.equal(answerDoor({ listenHost: '127.0.0.1', host: '127.0.0.1:5000', ...request }), want);
  });
}
