/**
 * One container of a pod through all its instances: starts it, follows it, remembers how it ended. Decides no
 * restarts.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Container, Pod } from '../kube/pod.ts';
import { parseBytes, parseCpuMillis } from '../kube/quantity.ts';
import { toStatusError } from '../kube/status-error.ts';
import {
  type ContainerEnd,
  type ContainerRecord,
  NEW_RECORD,
  readJsonFile,
  recordEnd,
  recordFailedStart,
  recordRun,
  writeJsonFile,
} from './container-record.ts';
import { killRun } from './leftovers.ts';
import { LOG_FILE_MAX_BYTES, LOG_FILES_MAX } from './limits.ts';
import { LogWriter } from './log-writer.ts';
import type { AgentContext } from './options.ts';
import type { Mount } from './plan-mounts.ts';
import type { ContainerView, Waiting } from './plan-pod.ts';
import type { PodFolder } from './pod-folder.ts';
import { Prober } from './prober.ts';
import { type ContainerExit, type RunningContainer, runContainer } from './run-container.ts';
import { readTerminationMessage } from './termination-message.ts';

export interface SlotOptions {
  readonly context: AgentContext;
  readonly pod: Pod;
  readonly container: Container;
  readonly folder: PodFolder;
  /** Something about the container is another than before. */
  readonly onChange: () => void;
}

/** What a start needs beside the spec. */
export interface StartRequest {
  readonly command: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly mounts: readonly Mount[];
  readonly hostName: string;
  readonly podIp: string;
}

/** The container's own /tmp; its home lies in it. */
export const TMP_PATH = '/tmp';
/** Where a container's HOME is. */
export const HOME_PATH = `${TMP_PATH}/home`;

/** One container of a pod, from its first start to the end of the pod. */
export class ContainerSlot {
  waiting: Waiting | undefined;
  running: RunningContainer | undefined;
  /** True from the first wish to stop until the instance is over. */
  isStopping = false;
  readonly #options: SlotOptions;
  readonly #listeners = new Set<() => void>();
  #record: ContainerRecord;
  #prober: Prober | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(options: SlotOptions) {
    this.#options = options;
    this.#record = endLost(readJsonFile<ContainerRecord>(this.#recordPath) ?? NEW_RECORD, options.context);
    this.#save(this.#record);
  }

  get name(): string {
    return this.#options.container.name;
  }

  get view(): ContainerView {
    const { isStarted = false, isReady = false } = this.#prober ?? {};
    return { record: this.#record, ...(this.waiting && { waiting: this.waiting }), isStarted, isReady };
  }

  get #recordPath(): string {
    return `${this.#options.folder.container(this.#options.container.name)}/record.json`;
  }

  /** The log of this instance, or of the one before. */
  logPath(previous: boolean): string {
    return this.#options.folder.log(this.name, this.#record.restartCount - (previous ? 1 : 0));
  }

  /** Starts the next instance; a command that cannot be started is recorded as its end. */
  async start(request: StartRequest): Promise<void> {
    const { context, container } = this.#options;
    const { clock } = context.options;
    const id = randomUUID();
    const startedAtMs = clock.nowMs();
    const instance = this.#record.restartCount + (this.#record.end === undefined ? 0 : 1);
    this.waiting = undefined;
    await this.#tell('Created', `Created container: ${container.name}`);
    try {
      this.running = await this.#run(request, id, instance);
    } catch (error) {
      const { message } = toStatusError(error);
      const finishedAtMs = clock.nowMs();
      const end = { id, exitCode: 128, reason: 'StartError', message, startedAtMs, finishedAtMs };
      this.#save(recordFailedStart(this.#record, end));
      return this.#tell('Failed', `Error: ${message}`);
    }
    const { pid, startTicks } = this.running;
    this.#save(recordRun(this.#record, { id, pid, startTicks, startedAtMs }));
    this.#probe(this.running, request.podIp);
    this.#done = this.running.exited.then((exit) => this.#finish(exit, id, startedAtMs));
    this.#forgetOldLogs(instance);
    await this.#tell('Started', `Started container ${container.name}`);
  }

  /** Asks the container to end, kills it after the grace, and resolves when its end is recorded. */
  async stop(graceSeconds: number): Promise<void> {
    const { running } = this;
    if (running === undefined) return this.#done;
    this.#prober?.close();
    this.isStopping = true;
    if (graceSeconds <= 0) running.kill();
    else running.terminate();
    const cancel = this.#options.context.options.clock.after(graceSeconds * 1000, () => running.kill());
    await this.#done;
    cancel();
  }

  /** Resolves true when the log has grown or the container has changed, false when its instance is over. */
  waitForLog(signal: AbortSignal): Promise<boolean> {
    if (this.running === undefined) return Promise.resolve(false);
    return new Promise((resolve) => {
      const finish = () => {
        this.#listeners.delete(finish);
        signal.removeEventListener('abort', finish);
        resolve(this.running !== undefined && !signal.aborted);
      };
      this.#listeners.add(finish);
      signal.addEventListener('abort', finish, { once: true });
    });
  }

  #run(request: StartRequest, id: string, instance: number): Promise<RunningContainer> {
    const { context, container, folder } = this.#options;
    const own = folder.container(container.name);
    rmSync(`${own}/tmp`, { recursive: true, force: true });
    mkdirSync(`${own}/tmp/home`, { recursive: true });
    writeFileSync(`${own}/message`, '');
    const limits = container.resources?.limits ?? {};
    const mounts: Mount[] = [
      { target: TMP_PATH, source: `${own}/tmp`, type: 'folder', readOnly: false },
      { target: messagePathOf(container), source: `${own}/message`, type: 'file', readOnly: false },
      ...request.mounts,
    ];
    return runContainer(context.launcher, {
      ...request,
      folder: own,
      id,
      mounts,
      workingDir: container.workingDir ?? HOME_PATH,
      limits: {
        memoryBytes: limits.memory === undefined ? undefined : parseBytes(limits.memory),
        cpuMillis: limits.cpu === undefined ? undefined : parseCpuMillis(limits.cpu),
      },
      log: this.#openLog(folder.log(container.name, instance)),
    });
  }

  #openLog(path: string): LogWriter {
    const {
      clock,
      log,
      logFileMaxBytes = LOG_FILE_MAX_BYTES,
      logFilesMax = LOG_FILES_MAX,
    } = this.#options.context.options;
    return new LogWriter({
      path,
      fileMaxBytes: logFileMaxBytes,
      filesMax: logFilesMax,
      clock,
      onWritten: () => this.#wakeListeners(),
      onError: (error) => log.error({ err: error, path }, 'cannot write a container log'),
    });
  }

  #probe(running: RunningContainer, podIp: string): void {
    const { context, container, onChange } = this.#options;
    const { clock } = context.options;
    this.#prober = new Prober({
      container,
      podIp,
      running,
      clock,
      onChange,
      onFailure: (kind, message) => void this.#tell('Unhealthy', `${kind} probe failed: ${message}`),
      onUnhealthy: (kind) => {
        const name = container.name;
        void this.#tell('Killing', `Container ${name} failed ${kind.toLowerCase()} probe, will be restarted`);
        void this.stop(this.#options.pod.spec.terminationGracePeriodSeconds ?? 30);
      },
    });
  }

  async #finish({ exitCode, isOutOfMemory }: ContainerExit, id: string, startedAtMs: number): Promise<void> {
    const { context, container, folder, onChange } = this.#options;
    this.#prober?.close();
    this.#prober = undefined;
    const paths = { message: `${folder.container(container.name)}/message`, log: this.logPath(false) };
    // The pod's folder may be gone by now: then nobody asks for the message.
    const message = await readTerminationMessage(container, paths, exitCode).catch(() => '');
    const reason = isOutOfMemory ? 'OOMKilled' : exitCode === 0 ? 'Completed' : 'Error';
    const end: ContainerEnd = {
      id,
      exitCode,
      reason,
      message,
      startedAtMs,
      finishedAtMs: context.options.clock.nowMs(),
    };
    this.running = undefined;
    this.isStopping = false;
    this.#save(recordEnd(this.#record, end, context.backoff.resetMs));
    this.#wakeListeners();
    onChange();
  }

  #wakeListeners(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #save(record: ContainerRecord): void {
    this.#record = record;
    // A pod that is gone has no folder: nothing must come back to life there.
    if (!existsSync(this.#options.folder.path)) return;
    try {
      writeJsonFile(this.#recordPath, record);
    } catch (error) {
      // A full disk must not stop the pod: only a crash of the agent before the next write would lose this.
      this.#options.context.options.log.error({ err: error, container: this.name }, 'cannot record a container');
    }
  }

  #forgetOldLogs(instance: number): void {
    const { logFilesMax = LOG_FILES_MAX } = this.#options.context.options;
    const path = this.#options.folder.log(this.name, instance - 2);
    for (let index = 0; index < logFilesMax; index++) rmSync(index === 0 ? path : `${path}.${index}`, { force: true });
  }

  #tell(reason: string, message: string): Promise<void> {
    const { context, pod, container } = this.#options;
    const type = reason === 'Failed' || reason === 'Unhealthy' ? 'Warning' : 'Normal';
    const isInit = pod.spec.initContainers?.includes(container) ?? false;
    const fieldPath = `spec.${isInit ? 'initContainers' : 'containers'}{${container.name}}`;
    return context.recordEvent(pod, { type, reason, message, fieldPath });
  }
}

/** Where the container writes its termination message. */
function messagePathOf({ terminationMessagePath }: Container): string {
  return terminationMessagePath ?? '/dev/termination-log';
}

/** A container that ran when an earlier agent died: what is left of it is killed, and its end is told as such. */
function endLost(record: ContainerRecord, { options, backoff }: AgentContext): ContainerRecord {
  const { run } = record;
  if (run === undefined) return record;
  killRun(run);
  const message = 'The node agent was restarted while the container ran; its processes died with it.';
  const end = { id: run.id, exitCode: 137, reason: 'AgentRestarted', message, startedAtMs: run.startedAtMs };
  return recordEnd(record, { ...end, finishedAtMs: options.clock.nowMs() }, backoff.resetMs);
}
