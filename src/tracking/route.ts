/** What a route of the JSON API is: where, which request, and the answer. Knows no server. */
import type { z } from 'zod';
import { type Page, parsePageToken } from './page-token.ts';
import { parseRequest } from './request-shape.ts';
import type { Caller, Tracking } from './tracking.ts';

/** What a route sees of a request: body, query and path merged into one, as protobuf's JSON mapping does. */
export interface RouteCall {
  readonly tracking: Tracking;
  readonly caller: Caller;
  readonly request: unknown;
}

/** `path` follows `/api/2.0/mlflow`; parts like `:model_id` become fields of the request. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** Only under `/api/<version>`; otherwise under all. */
  readonly version?: ApiVersion;
  answer(call: RouteCall): Promise<object>;
}

/** Of MLflow's prefixes. */
export type ApiVersion = '2.0' | '3.0';

interface RoutePlan<T extends z.ZodType> {
  readonly input: T;
  readonly version?: ApiVersion;
  answer(tracking: Tracking, input: z.output<T>, caller: Caller): Promise<object | undefined>;
}

/** A route whose request has a shape; an answer of undefined is an empty object. */
export function route<T extends z.ZodType>(place: string, plan: RoutePlan<T>): Route {
  const [method, path = ''] = place.split(' ');
  return {
    method: method as Route['method'], // why: every place is a literal of this room
    path,
    ...(plan.version && { version: plan.version }),
    answer: async ({ tracking, caller, request }) =>
      (await plan.answer(tracking, parseRequest(plan.input, request), caller)) ?? {},
  };
}

/** The page that a request asks for. */
export function toPageRequest(limit: number, token: string | undefined): Page {
  return { limit, offset: parsePageToken(token) };
}

/** MLflow's field for the next page, absent on the last one. */
export function nextPage({ nextPageToken }: { readonly nextPageToken?: string }): { next_page_token?: string } {
  return nextPageToken === undefined ? {} : { next_page_token: nextPageToken };
}
