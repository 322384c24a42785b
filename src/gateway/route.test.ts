/** Which service a URL and a Host name, and which name none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findRoute, type Route } from './route.ts';

const route = (service: string, path: string): Route => ({ service, path });

const CASES: Record<string, { readonly url: string; readonly host?: string; readonly want: Route | undefined }> = {
  'a path names its service': {
    url: '/team/digits/v2/models/digits/infer',
    want: route('team/digits', '/v2/models/digits/infer'),
  },
  'a path may end with v2': { url: '/team/digits/v2', want: route('team/digits', '/v2') },
  'a query goes along': { url: '/team/digits/v2/models?all=1', want: route('team/digits', '/v2/models?all=1') },
  'a query directly behind v2 goes along': { url: '/team/digits/v2?a', want: route('team/digits', '/v2?a') },
  'a service name may have dots': { url: '/team/digits.one/v2/', want: route('team/digits.one', '/v2/') },
  'a path wins over the host': {
    url: '/team/digits/v2/x',
    host: 'other.team.localhost',
    want: route('team/digits', '/v2/x'),
  },
  'a host names its service': { url: '/v2/x', host: 'digits.team.localhost', want: route('team/digits', '/v2/x') },
  'a port of the host does not count': {
    url: '/v2/x',
    host: 'digits.team.localhost:7080',
    want: route('team/digits', '/v2/x'),
  },
  'the case of the host does not count': { url: '/', host: 'Digits.Team.LOCALHOST', want: route('team/digits', '/') },
  'a path of another protocol names none': { url: '/team/digits/v1/x', host: 'localhost', want: undefined },
  'a longer word than v2 names none': { url: '/team/digits/v2x', want: undefined },
  'a namespace with other letters names none': { url: '/Team/digits/v2/x', want: undefined },
  'a host of one label names none': { url: '/v2/x', host: 'localhost:7080', want: undefined },
  'a host of two labels names none': { url: '/v2/x', host: 'team.localhost', want: undefined },
  'an address names none': { url: '/v2/x', host: '127.0.0.1:7080', want: undefined },
  'no host names none': { url: '/v2/x', want: undefined },
  'an absolute URL under a host names none': {
    url: 'http://elsewhere/v2/x',
    host: 'digits.team.localhost',
    want: undefined,
  },
};

for (const [sentence, { url, host, want }] of Object.entries(CASES)) {
  test(`findRoute(): ${sentence}`, () => assert.deepEqual(findRoute(url, host), want));
}
