/*
 * layout.h - the memory layout of a tree, a session and a lane. This is the only place where it is written down;
 * Python reads every offset from the extension (`_core.LAYOUT`).
 *
 *   tree segment                     session control segment            lane segment (one generation of one member)
 *   +-----------------------+        +-----------------------+          +-----------------------+
 *   | head: magic, version  |        | head                  |          | head                  |
 *   | state, budget         |        | state, flush, ticks   |          | producer line: tail   |
 *   | aggregator: pid, beat |        | batcher, switches     |          | consumer line: head   |
 *   | doorbell: need_wake   |        | message to the owner  |          +-----------------------+
 *   +-----------------------+        +-----------------------+          | dictionary of shapes  |  append only
 *   | process[2048]         |        | sink[8]: path, state  |          +-----------------------+
 *   +-----------------------+        +-----------------------+          | ring of records       |
 *   | session[4096]: serial |        | member[1024]          |          +-----------------------+
 *   +-----------------------+        +-----------------------+
 *
 * Words are little-endian, naturally aligned and of explicit size. "By" names the only writer of a word; a word with several
 * writers changes by compare-and-swap or fetch-add alone. What a reader may assume when the writer died is the last column.
 *
 * A process reference is index << 32 | serial of a process slot; 0 is nobody. A reference whose serial is not the slot's is stale.
 */
#ifndef SHMRERUN_LAYOUT_H
#define SHMRERUN_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_VERSION 4u

#define TREE_MAGIC 0x4545525448534d52ull    /* one magic for each kind of segment */
#define SESSION_MAGIC 0x5353455348534d52ull
#define LANE_MAGIC 0x454e414c48534d52ull

/* The first 64 bytes of every segment. Written once; `magic` last, with release: a segment without it is not ready. */
struct segment_head {
    uint64_t magic;
    uint32_t version;
    uint32_t generation;   /* lanes: number of the generation, from 0 */
    uint8_t token[16];     /* tree: its token; session and lane: the session's token */
    uint64_t size;         /* bytes of the whole segment */
    uint64_t serial;       /* session and lane: the session's serial in its tree */
    uint64_t maker;        /* process reference of whoever made it */
    uint32_t uid;
    uint32_t member;       /* lanes: index of the member slot */
};

/* ---- tree ------------------------------------------------------------------------------------------------------- */

enum { STATE_OPEN = 1, STATE_ENDING = 2, STATE_ENDED = 3 };

#define TREE_PROCESSES 2048u
#define TREE_SESSIONS 4096u

/*
 * Process slot. FREE (pid 0) -> CLAIMED by compare-and-swap of `claim`, after the byte lock (index + 16) of the tree's lock
 * file is held; back to FREE by the aggregator alone, when lock and pid/start time both say that the process is gone.
 * `current` outlives its process until the slot is claimed again, so children find their recording after a parent's death.
 */
struct process_slot {
    uint64_t claim;        /* serial << 32 | pid; pid 0: free */
    uint64_t start_time;   /* of the process, clock ticks since boot; 0: not yet known, then the lock alone decides */
    uint64_t pid_namespace;
    uint64_t current;      /* serial of the session that is this process's global recording; 0: none. By the process */
};

/* Session slot: which sessions exist, for the aggregator to host and for children to join by id. By compare-and-swap of serial. */
struct session_slot {
    uint64_t serial;       /* 0: free */
    uint64_t id_hash;      /* of application id and recording id */
};

struct tree {
    struct segment_head head;
    /* 64 */
    uint64_t state;        /* by the aggregator: OPEN -> ENDING -> OPEN (a process joined meanwhile) or ENDED */
    uint64_t next_session; /* fetch-add: serials of sessions, from 1 */
    uint64_t root;         /* process reference of the first process that called init; compare-and-swap from 0 */
    uint64_t budget_limit; /* bytes of shared memory that lanes may take */
    uint64_t
        budget_used; /* fetch-add by producers behind their intent, fetch-sub by the aggregator, which also recounts it from what exists */
    uint64_t next_process; /* hint: where to look for a free process slot */
    uint64_t pad0[2];
    /* 128: aggregator. A dead one leaves its last values; the two keys (lock byte 0, pid and start time) tell. */
    uint64_t aggregator_pid;
    uint64_t aggregator_start;
    uint64_t heartbeat; /* CLOCK_MONOTONIC ns of its last turn; at most 250 ms old while it lives and gets a processor */
    uint64_t epoch; /* how many aggregators have become ready */
    uint64_t starter; /* process reference of whoever is starting one; compare-and-swap; cleared by the new aggregator */
    uint64_t starter_time; /* CLOCK_MONOTONIC ns */
    uint64_t pad1[2];
    /* 192: doorbell. SYNC POINT wake: armed by the aggregator, fence, look again; producers: tail, fence, load, exchange. */
    uint32_t need_wake;
    uint32_t pad2[15];
    /* 256 */
    uint8_t pad3[3840];
    /* 4096 */
    struct process_slot process[TREE_PROCESSES];
    struct session_slot session[TREE_SESSIONS];
};

/* ---- session ---------------------------------------------------------------------------------------------------- */

#define SESSION_SINKS 8u
#define SESSION_OWN_SINKS 6u /* of them, those that processes may take */
#define SESSION_MEMBERS 1024u
#define SESSION_PATH 4096u
#define SESSION_TEXT 1016u

enum { SWITCH_ENABLED = 1, SWITCH_LOG_TIME = 2, SWITCH_LOG_TICK = 4, SWITCH_TICK_SET = 8 };

/*
 * Sink: an entry of the session's table, for whatever receives rows. Two words with one kind of writer each:
 *   wish   by processes, compare-and-swap:  FREE -> MAKING -> OPEN -> COMPLETE* -> CLOSE -> FREE
 *   state  by the aggregator, the answer:   ACTIVE | FAILED | GONE
 * Both begin with a turn; a wish whose turn is not the state's has not been answered. MAKING: fields are being written; if its process
 * dies the aggregator frees the entry. An entry may be taken when its wish is FREE or its answer is GONE. A successor of the aggregator
 * reads nothing but this table. The last two entries are the aggregator's own, for spools that only buffer; it writes both words there.
 */
enum { WISH_FREE = 0, WISH_MAKING = 1, WISH_OPEN = 2, WISH_COMPLETE = 3, WISH_CLOSE = 4 };
enum { SINK_NONE = 0, SINK_ACTIVE = 1, SINK_FAILED = 2, SINK_GONE = 4 };
#define WISH_VERB_MASK 0xffu
#define WISH_PROCESS_SHIFT 8u /* index of the process slot, plus 1, in 24 bits */
#define WISH_TURN_SHIFT 32u
enum { SINK_SPOOL = 1, SINK_FILE = 2, SINK_GRPC = 3, SINK_SERVER = 4, SINK_CUSTOM = 5, SINK_READER = 6 };
enum { SINK_NO_FOOTER = 1, SINK_CONTINUE = 2, SINK_PIECES = 4, SINK_ODD_FILE = 8, SINK_BESIDE = 16, SINK_STDOUT = 32 };
/*
 * A spool or a file is a log. All else follows the log of the session, read behind the drain; `log` and `size` say how far it got:
 * SINK_ODD_FILE (a FIFO or device) and SINK_FILE with SINK_BESIDE (a file kept equal to the log) in a thread of the aggregator;
 * SINK_GRPC, SINK_SERVER and SINK_CUSTOM in the live worker; SINK_READER in the process that owns the entry.
 * SINK_PIECES: a reader that takes each row out of the log, for a program that reads its own rows; the next sink does not get them.
 * SINK_STDOUT: an odd file that only its owner has, by its descriptor.
 * SINK_BESIDE: it joins the sinks that there are; without it, a new sink takes their place.
 */

struct sink {
    uint64_t wish;
    uint64_t state;
    uint32_t kind;
    uint32_t flags;
    uint64_t owner; /* process reference */
    uint64_t number; /* names spools; ascending within the session */
    uint64_t device; /* of the file as the owner opened it; 0 0: not a file yet */
    uint64_t inode;
    uint64_t scan_from; /* by the aggregator: no row at or above a head lies before this offset of the file */
    uint64_t size; /* bytes of the file, or of the followed log, that are complete messages; by the aggregator, or whoever serves it */
    uint64_t log; /* by the aggregator, of what follows: number of the log that `size` is about */
    uint64_t error; /* errno of the last failed write or open; 0 after the next good one */
    uint64_t until; /* by the aggregator, of what others serve: it is to finish, with this size of the log */
    uint64_t done; /* by whoever serves it: the `until` that it has finished */
    uint64_t value; /* by whoever serves it: a server's port; 1: connected, or ready */
    uint64_t dropped; /* by whoever serves it: rows that this sink alone did not get */
    uint32_t caller_pid; /* where the owner holds the file open while the wish is OPEN and not answered */
    uint32_t caller_fd;
    uint32_t path_size;
    uint32_t pad[31];
    char path[SESSION_PATH];
};

/*
 * Member: a process in a session, with or without a lane. FREE (owner 0) -> process reference by compare-and-swap ->
 * `left` by the process, or death -> FREE by the aggregator when all its generations are committed and unlinked.
 * Generations oldest .. newest - 1 exist as segments. Whoever makes one stores `intent` first and `newest` after it is
 * complete: on death the segment numbered `intent` is removed if it was not published.
 * `written` is stored behind each `tail`, so it names every row that was published, whatever becomes of its lane; a kill between
 * the two leaves it one behind. Rows that the aggregator cannot find are `lost`: written, and neither read nor in a lane it reads.
 */
struct member {
    uint64_t owner;
    uint32_t newest; /* by the process: count of generations ever published */
    uint32_t intent; /* by the process: number of the generation being made, plus 1; 0: none */
    uint32_t left; /* by the process: it will log no more under this membership */
    uint32_t pad0;
    uint64_t written; /* by the process: rows it published */
    uint64_t dropped_full; /* by the process: rows refused, no space in time */
    uint64_t dropped_size; /* by the process: rows refused, no memory for so large a record */
    uint64_t pad1[2];
    /* 64: the aggregator's line */
    uint32_t oldest; /* by the aggregator */
    uint32_t refused; /* by the aggregator: generations below this one are read no more; the process goes on in the next */
    uint64_t rows; /* by the aggregator: rows of this member in the log */
    uint64_t lost; /* by the aggregator: rows of this member that were written and cannot be read */
    uint64_t pad2[5];
};

struct session {
    struct segment_head head;
    /* 64 */
    uint64_t state; /* by the aggregator: OPEN -> ENDING -> OPEN or ENDED */
    uint64_t flush_wanted; /* fetch-add by producers, then ring */
    uint64_t flush_done; /* by the aggregator: every row published before that request is in the log */
    uint64_t next_tick; /* by the aggregator: first log_tick not yet given out */
    uint64_t rows; /* by the aggregator: rows in the log */
    uint64_t chunks; /* by the aggregator */
    uint64_t written_bytes; /* by the aggregator: into the log */
    uint64_t sink_turn; /* fetch-add: counts changes of the sink table */
    /* 128: batcher; by the maker, before the session is published */
    uint64_t flush_tick_nanos;
    uint64_t flush_bytes;
    uint64_t flush_rows;
    uint64_t unsorted_rows;
    uint64_t switches; /* SWITCH_*; any process */
    uint64_t id_hash;
    uint64_t dropped_limit; /* by the aggregator: rows dropped because the spool reached its limit or had no sink at the end */
    uint64_t dropped; /* by the aggregator: rows that members refused, of members that are gone */
    /* 192 */
    uint64_t unjoined; /* fetch-add: rows of processes that could not become members, or logged when they had left */
    uint64_t failures; /* by the aggregator: rows that were read and could not be encoded; part of `dropped` */
    uint32_t message_turn; /* by the aggregator: odd while `message` is being written */
    uint32_t message_size;
    uint32_t message_read; /* by the owner: the last turn that it printed; until then messages are added to one another */
    uint32_t pad0;
    uint8_t message[1016];
    /* 1240 */
    uint32_t application_size;
    uint32_t recording_size;
    char application[SESSION_TEXT];
    char recording[SESSION_TEXT];
    uint8_t pad1[816];
    /* 4096 */
    struct sink sink[SESSION_SINKS];
    struct member member[SESSION_MEMBERS];
};

/* ---- lane ------------------------------------------------------------------------------------------------------- */

enum { LANE_OPEN = 0, LANE_SUCCEEDED = 1, LANE_LAST = 2 };

/*
 * One generation of a lane: single producer process, single consumer (the elected aggregator).
 * The producer stores: definition, dictionary_tail (release), payload, tail (release); next generation, then closed.
 * The consumer loads: liveness and closed (acquire), tail (acquire), dictionary_tail. It stores head after the rows are in a
 * complete message of the log. Positions only grow; offset in the ring = position % ring_size.
 */
struct lane {
    struct segment_head head;
    /* 64 */
    uint64_t dictionary_offset;
    uint64_t dictionary_size;
    uint64_t ring_offset;
    uint64_t ring_size;
    uint64_t rows_before; /* rows that the member had written when this generation was made */
    uint64_t pad0[3];
    /* 128: producer's line. A dead producer leaves at most one unpublished record behind tail. */
    uint64_t tail;
    uint64_t dictionary_tail;
    uint64_t closed;
    uint64_t pad1[13];
    /* 256: consumer's line. head is the oldest record whose row is not yet in the log. */
    uint64_t head_position;
    uint64_t pad2[31];
    /* 512: dictionary, then ring */
};

enum { RECORD_ROW = 1, RECORD_PAD = 2 };
enum { ROW_STATIC = 1, ROW_TICK = 2, ROW_UNCOUNTED = 4, ROW_COLUMNS = 8, ROW_MESSAGE = 16 };

/*
 * Record:  header | int64 times[] | u32 count, u32 part[count], pad to 8 | buffers, each padded to 8
 * `part` holds, for each node of each column in preorder, the node's length and the byte size of each of its buffers.
 * Times are those of the shape, in its order. RECORD_PAD fills the rest of the ring before a wrap; only size and kind count.
 * ROW_COLUMNS: many rows at once, a chunk of its own. It has no times[]; its parts are one int64 column for each timeline, then a
 * list column for each component. Its rows have the record's row id and the counters after it.
 * ROW_MESSAGE: ready-made messages of an .rrd stream, whole and framed, as the bytes of one binary column; the log takes them as they
 * are, all or none. Static and uncounted; the shape's path only names such rows.
 */
struct record {
    uint32_t words; /* of 8 bytes, header included */
    uint16_t kind;
    uint16_t flags;
    uint32_t shape; /* id in this generation's dictionary, from 1 */
    uint32_t sequence; /* number of the row in this generation, modulo 2^32 */
    uint64_t row_time; /* TUID: nanoseconds ... */
    uint64_t row_counter; /* ... and counter */
};

/* Dictionary entry: entity path, timelines and columns that rows name by `shape`. Texts follow, padded to 8 together. */
struct definition {
    uint32_t bytes; /* whole entry, a multiple of 8 */
    uint32_t shape; /* 1, 2, 3 ... in order */
    uint32_t flags; /* ROW_STATIC, ROW_TICK, ROW_COLUMNS, ROW_MESSAGE */
    uint32_t times; /* number of timelines */
    uint32_t path_size;
    uint32_t times_size;
    uint32_t columns_size;
    uint32_t pad;
};

/* Limits of a row, for both sides: the producer refuses what is over them, the aggregator puts a lane aside that holds it all the same. */
#define THREAD_TIMES_LIMIT 1024u /* timelines that a thread may set in a recording */
#define RECORD_TIMES_LIMIT (THREAD_TIMES_LIMIT + 1u) /* with log_time */
#define RECORD_PARTS_LIMIT 65536u
#define TYPE_DEPTH_LIMIT 32u /* nesting of an Arrow type */
#define TYPE_ARMS_LIMIT 64u /* children of a union */

static_assert(sizeof(struct segment_head) == 64, "head");
static_assert(offsetof(struct tree, aggregator_pid) == 128 && offsetof(struct tree, need_wake) == 192, "tree words");
static_assert(offsetof(struct tree, process) == 4096 && sizeof(struct process_slot) == 32, "tree tables");
static_assert(sizeof(struct tree) == 4096 + 65536 + 65536, "tree");
static_assert(sizeof(struct sink) == 256 + SESSION_PATH && sizeof(struct member) == 128, "session tables");
static_assert(offsetof(struct session, flush_tick_nanos) == 128 && offsetof(struct session, sink) == 4096, "session words");
static_assert(sizeof(struct session) == 4096 + 8 * 4352 + 131072, "session");
static_assert(offsetof(struct lane, tail) == 128 && offsetof(struct lane, head_position) == 256, "lane words");
static_assert(sizeof(struct lane) == 512 && sizeof(struct record) == 32 && sizeof(struct definition) == 32, "lane");

#endif
