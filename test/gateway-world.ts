/** The gateway before an embedded API server, with model servers of the test's own on loopback, for tests. */
import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../src/base/clock.ts';
import { hostClock } from '../src/base/clock.ts';
import { askTokenReview } from '../src/cli/ask-token.ts';
import { installKinds } from '../src/cli/install.ts';
import { type Gateway, startGateway } from '../src/gateway/server.ts';
import {
  InferenceServiceSpec,
  type InferenceServiceStatus,
  inferenceService,
  SERVER_CONTAINER,
  SERVICE_LABEL,
} from '../src/kinds/inference-service/kind.ts';
import { apiVersionOf, type ObjectOf } from '../src/kube/object.ts';
import type { Pod } from '../src/kube/pod.ts';
import { WELL_KNOWN } from '../src/kube/well-known.ts';
import { startCluster, type TestCluster } from './cluster.ts';

export type Service = ObjectOf<InferenceServiceSpec, InferenceServiceStatus>;

export interface Question {
  readonly path: string;
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  readonly agent?: false;
}

export interface Answer {
  readonly code: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** A model server of the test's own. */
export interface TestBackend {
  readonly host: string;
  readonly port: number;
  readonly server: Server;
  close(): Promise<void>;
}

/** Listens on loopback; answers what `listener` says. */
export async function startBackend(listener: RequestListener, port = 0): Promise<TestBackend> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, server, close };
}

/** The headers of the answer, and its body still to come. */
export async function open(url: string, { path, method, headers, body, agent }: Question): Promise<IncomingMessage> {
  const request = httpRequest(url + path, {
    method: method ?? 'GET',
    ...(headers && { headers }),
    ...(agent === false && { agent }),
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** The whole answer. */
export async function ask(url: string, question: Question): Promise<Answer> {
  const response = await open(url, question);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { code: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() };
}

/** What a test may do to the world of one gateway. */
export class GatewayWorld {
  readonly cluster: TestCluster;
  readonly gateway: Gateway;
  readonly reported: unknown[];

  private constructor(parts: { cluster: TestCluster; gateway: Gateway; reported: unknown[] }) {
    this.cluster = parts.cluster;
    this.gateway = parts.gateway;
    this.reported = parts.reported;
  }

  static async start({
    clock = hostClock(globalThis),
    host = '127.0.0.1',
  }: {
    clock?: Clock;
    host?: string;
  } = {}): Promise<GatewayWorld> {
    const cluster = await startCluster();
    await installKinds(cluster.client);
    const reported: unknown[] = [];
    const gateway = await startGateway({
      client: cluster.client,
      clock,
      host,
      port: 0,
      authenticate: askTokenReview(cluster.client),
      report: (error) => reported.push(error),
    });
    await gateway.synced;
    return new GatewayWorld({ cluster, gateway, reported });
  }

  ask(question: Question): Promise<Answer> {
    return ask(this.gateway.url, question);
  }

  async metrics(): Promise<string> {
    return (await this.ask({ path: '/metrics' })).text;
  }

  /** A service whose pods the test makes itself. */
  addService(name: string, replicas = 1): Promise<Service> {
    return this.cluster.client.create<Service>(inferenceService, {
      apiVersion: apiVersionOf(inferenceService),
      kind: 'InferenceService',
      metadata: { name, namespace: 'default' },
      spec: InferenceServiceSpec.parse({ model: { uri: 'models:/m/1' }, replicas }),
    } as Service);
  }

  async setServiceStatus(name: string, status: InferenceServiceStatus): Promise<void> {
    const found = await this.cluster.client.get<Service>(inferenceService, name, 'default');
    await this.cluster.client.updateStatus<Service>(inferenceService, { ...found, status });
  }

  /** A pod that says it answers where the backend listens. */
  async addPod(service: string, name: string, { host, port }: Pick<TestBackend, 'host' | 'port'>): Promise<void> {
    await this.cluster.client.create<Pod>(WELL_KNOWN.Pod, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels: { [SERVICE_LABEL]: service } },
      spec: { containers: [{ name: SERVER_CONTAINER, image: 'athanor', ports: [{ containerPort: port }] }] },
    });
    await this.setReady(name, true, host);
  }

  async setReady(name: string, isReady: boolean, podIP = '127.0.0.1'): Promise<void> {
    const pod = await this.cluster.client.get<Pod>(WELL_KNOWN.Pod, name, 'default');
    const condition = { type: 'Ready', status: isReady ? ('True' as const) : ('False' as const) };
    const conditions = [{ ...condition, reason: 'Test', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }];
    await this.cluster.client.updateStatus<Pod>(WELL_KNOWN.Pod, {
      ...pod,
      status: { phase: 'Running', podIP, conditions },
    });
  }

  async removePod(name: string): Promise<void> {
    await this.cluster.client.delete(WELL_KNOWN.Pod, name, { namespace: 'default', gracePeriodSeconds: 0 });
  }

  /** The number of ready pods that the gateway knows of. */
  async countBackends(service: string): Promise<number | undefined> {
    const line = new RegExp(`^athanor_gateway_ready_backends\\{service="default/${service}"\\} (\\d+)$`, 'm');
    const found = line.exec(await this.metrics())?.[1];
    return found === undefined ? undefined : Number(found);
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await this.cluster.close();
  }
}
