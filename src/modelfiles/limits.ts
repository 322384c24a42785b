/** How much of a model's files is looked at, and what is too much. */

/** Files of one model. */
export const FILES_MAX = 10_000;
/** Entries of one archive. */
export const ARCHIVE_ENTRIES_MAX = 100_000;
/** An archive in an archive in an archive in an archive is nobody's model. */
export const NESTING_MAX = 3;
/** More than this out of one byte, and more than the floor below, is a bomb. */
export const RATIO_MAX = 200;
export const RATIO_FLOOR_BYTES = 64 * 1024 * 1024;
/** What all packed entries of one archive may unpack to. */
export const UNPACKED_BYTES_MAX = 64 * 1024 * 1024 * 1024;
/** A packed entry that is itself a container is unpacked into memory up to this. */
export const PACKED_CONTAINER_BYTES_MAX = 64 * 1024 * 1024;
/** A zip's list of entries. */
export const DIRECTORY_BYTES_MAX = 64 * 1024 * 1024;
/** JSON, YAML, templates and other texts. */
export const TEXT_BYTES_MAX = 64 * 1024 * 1024;
/** Pickles: depth of the stack, entries of the memo, texts kept for names, length of one such text and of a line. */
export const STACK_MAX = 1_000_000;
export const MEMO_MAX = 4_000_000;
export const KEPT_TEXT_BYTES_MAX = 64 * 1024 * 1024;
export const NAME_LENGTH_MAX = 512;
export const LINE_BYTES_MAX = 1024 * 1024 * 1024;
/** Pickles behind each other in one file. */
export const PICKLES_MAX = 10_000;
/** Protobuf: nesting of messages, and one field that is read whole. */
export const MESSAGE_DEPTH_MAX = 64;
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Findings told of one file. */
export const FINDINGS_MAX = 50;
