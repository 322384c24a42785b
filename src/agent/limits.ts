/** Every limit of the agent, by name. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Longest log line kept whole; the rest follows as partial lines. */
export const LOG_LINE_MAX_BYTES = 16 * KIB;
/** Default size at which a log file is rotated. */
export const LOG_FILE_MAX_BYTES = 10 * MIB;
/** Default number of log files kept per container instance. */
export const LOG_FILES_MAX = 5;
/** Output waiting for the disk beyond which a container's pipes are paused. */
export const LOG_PENDING_MAX_BYTES = MIB;
/** Followers of logs at one time, over all containers. */
export const LOG_FOLLOWERS_MAX = 256;
/** Exec sessions at one time, over all containers. */
export const EXEC_SESSIONS_MAX = 64;
/** Largest WebSocket message of an exec session. */
export const EXEC_MESSAGE_MAX_BYTES = MIB;
/** Arguments of one exec. */
export const EXEC_COMMAND_ARGS_MAX = 1024;
/** Kubernetes' limit of a termination message. */
export const TERMINATION_MESSAGE_MAX_BYTES = 4096;
/** How much of the log stands in for a termination message: bytes and lines. */
export const FALLBACK_MESSAGE_MAX_BYTES = 2048;
/** Lines of the log that stand in for a termination message. */
export const FALLBACK_MESSAGE_MAX_LINES = 80;
/** What a container's setup may say before its command starts. */
export const SETUP_TEXT_MAX_BYTES = 8 * KIB;
/** Output of an exec probe that is kept for its event. */
export const PROBE_OUTPUT_MAX_BYTES = 2 * KIB;
/** Links followed while a mount path is resolved, as Linux does. */
export const LINKS_MAX = 40;
/** How long the Kubernetes default grace of a pod is. */
export const GRACE_SECONDS_DEFAULT = 30;
/** How often volumes made of config maps, secrets and tokens are looked at again. */
export const VOLUME_REFRESH_MS = 60_000;
/** Life asked for when a pod does not say how long its token shall live. */
export const TOKEN_SECONDS_DEFAULT = 3607;
/** Delay before something that failed for the API's or the configuration's sake is tried again. */
export const RETRY_FIRST_MS = 250;
/** The longest wait between two tries of anything. */
export const RETRY_MAX_MS = 10_000;
/** How often processes are sampled where the kernel does not enforce limits. */
export const SAMPLE_MS = 1000;
/** Events waiting for the API server; older ones are dropped first. */
export const EVENTS_PENDING_MAX = 1000;
/** How long pods may take to end when the agent closes. */
export const CLOSE_GRACE_SECONDS = 3;
