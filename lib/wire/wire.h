/*  wire - what services say to each other, as plain structs; the only user of the generated
 *  protobuf.
 *
 *      buf_t bytes = {0};
 *      wire_act_request_pack (&asked, &bytes);
 *      const wire_act_request_t *request = wire_act_request_unpack (arena, data, size, &err);
 *
 *  The meaning of every field stands in schemas/ *.proto; names here are the same. pack appends to
 *  a buf. unpack validates everything (sizes, counts, enums, finiteness, ranges) and allocates in
 *  the arena: what it returns lives until the arena is reset; strings end in 0 and are never NULL.
 *  NULL always comes with an error: ERR_INPUT for what is a property of the bytes, ERR_LIMIT when
 *  the machine has no memory.
 */
#ifndef QUINTET_WIRE_WIRE_H
#define QUINTET_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

/*  Bytes of one message: the bus's frames of 16 MiB have room for its envelope besides. */
#define WIRE_PAYLOAD_MAX ((16 << 20) - (4 << 10))

typedef struct {
    const int32_t *data;
    size_t n;
} wire_ids_t;

/*  A version is (policy, number, content hash); number 0 is what was loaded. */
typedef struct {
    const char *policy;
    uint64_t number;
    hash_t hash; /* of the weights' bytes */
} wire_version_t;

typedef enum { WIRE_TRAIN, WIRE_EVAL_SAMPLED, WIRE_EVAL_GREEDY, WIRE_PHASE_COUNT } wire_phase_t;

/*  ---- act: sample completions (agent) ------------------------------------------------------- */

typedef struct {
    wire_ids_t ids;
    const uint32_t *episodes; /* indices in the group that share this prompt */
    size_t episodes_n;
    const char *text; /* for an engine, instead of ids; NULL is "" */
} wire_prompt_t;

/*  What a token is drawn from; all 0: the whole vocabulary. Refused in training. */
typedef struct {
    uint32_t top_k;
    float top_p, min_p, repetition_penalty;
} wire_filter_t;

typedef struct {
    const char *run;
    wire_version_t version;
    uint64_t seed; /* the coordinates of the random numbers, with each episode's index: */
    wire_phase_t phase;
    uint64_t step, group;
    uint32_t role, turn;
    float temperature; /* 0: greedy */
    wire_filter_t filter;
    uint32_t max_tokens;
    wire_ids_t stops;
    const wire_prompt_t *prompts;
    size_t prompts_n;
    /* "URL MODEL" of a server that computes it, by texts; "" or NULL: the agent does, by ids */
    const char *engine;
    const char *system;            /* for an engine: a message of the system, or "" */
    const char *const *stop_texts; /* where one begins, its completion ends */
    size_t stop_texts_n;
    bool goes_on; /* the prompts begin as what the role was asked and said before */
} wire_act_request_t;

typedef struct {
    uint32_t episode;
    wire_ids_t ids;
    const float *logps; /* ids.n */
    bool stopped;
    /* of an engine, instead of ids: what it wrote, and how many tokens it says that are */
    const char *text;
    uint32_t tokens;
} wire_sample_t;

typedef struct {
    wire_version_t version;
    const wire_sample_t *samples; /* sorted by episode */
    size_t samples_n;
    uint64_t decode_us; /* from the first to the last token, for the tap */
} wire_act_reply_t;

/*  ---- score: rewards of finished episodes (reward) ------------------------------------------ */

typedef struct {
    double quality, speed, cost;
} wire_weights_t;

/*  What all episodes have in common stands once. */
typedef struct {
    const char *run;
    const char *command; /* the scorer program, "" for the family's own */
    wire_weights_t weights;
    const char *task; /* JSON, with the hidden checks */
    const char *const *roles;
    size_t roles_n;
    uint32_t max_tokens, max_turns;
    const char *const *histories; /* of finished episodes: JSON (task/episode.h) */
    size_t histories_n;
    const char *modules;       /* that programs may import, "" for none */
    double cpu_s, cpu_total_s; /* limits of a program; 0: the scorer's own */
    double command_s;          /* that the scorer program has for one answer; 0: 20 s */
    const char *protocol;      /* JSON (team/protocol.h), "": all draft in parallel */
    const char *tool;          /* "", or what is wanted of unfinished episodes instead of a score */
    const char *const *queries; /* what the tool is asked, for each history; NULL: nothing */
    const char *passages;       /* where the tool retrieve looks, "": nowhere */
    const char *judge;          /* JSON (task/grade.h), "": nobody */
    const char *const *graded; /* what a policy that judges said, as many answers of each history */
    size_t graded_n;
} wire_score_request_t;

typedef struct {
    const char *name;
    double value;
} wire_part_t;

typedef struct {
    double reward, quality, speed, cost;
    bool success;
    double agreement;
    bool success_unknown, agreement_unknown; /* nobody measured them */
    bool unscored; /* a judge named no number: verdict says what it said, and nothing else counts */
    const wire_part_t *parts;
    size_t parts_n;
    const wire_part_t *local; /* of roles, by their names; not in reward */
    size_t local_n;
    const char *verdict;
} wire_reward_t;

typedef struct {
    const wire_reward_t *rewards; /* one per history, in order */
    size_t rewards_n;
} wire_score_reply_t;

/*  ---- groups: what trainer and environment exchange through Redis ---------------------------- */

typedef struct {
    const char *name; /* "aux" */
    wire_version_t version;
    hash_t tokenizer; /* object: text of the tokenizer.json to write prompts with */
    wire_ids_t stops;
    wire_ids_t prefix;   /* ids before the prompt text, e.g. the begin token; may be empty */
    const char *chat;    /* name of a chat format, "" for none */
    const char *prompt;  /* what it is asked, "": as the task's family asks (task/prompt.h) */
    const char *sees;    /* parts of the state, "": the turns */
    uint32_t max_tokens; /* of its completions; 0: the group's */
    float temperature;   /* that it draws at; 0: greedy */
    /* where one begins, a completion ends: its ids are those that spell it, as they were drawn */
    const char *const *stop_texts;
    size_t stop_texts_n;
    /* pattern of a message behind its earlier prompts and completions; "": each turn begins anew */
    const char *next;
    const char *engine; /* as of an act request; "": it has a tokenizer, and plays by ids */
    const char *system; /* the same */
    uint32_t context;   /* tokens of its model's context; 0: not said */
} wire_role_t;

/*  Everything that an environment needs to play a group. */
typedef struct {
    const char *run;
    wire_phase_t phase;
    uint64_t step, group;
    uint64_t seed;
    const char *task;  /* JSON */
    uint32_t episodes; /* G */
    const wire_role_t *roles;
    size_t roles_n;
    wire_filter_t filter;
    uint32_t max_tokens, max_turns;
    wire_weights_t weights;
    const char *command, *modules; /* scorer, and what its programs may import */
    double cpu_s, cpu_total_s;
    double command_s;     /* that the scorer has for one answer */
    const char *protocol; /* as of a score request */
    const char *judge;    /* the same */
    /* the policy that judges finished episodes, where one of the run's own does; NULL: none */
    const wire_role_t *judged_by;
    const char *passages; /* the same */
    /* how long an agent may take at most: no longer does the run wait for a step */
    uint32_t timeout_s;
    bool cross, removal; /* which teams are scored besides those that were played */
    /* that plays the episodes, or "", and the seconds that it has for an answer */
    const char *program;
    double program_s;
} wire_group_t;

typedef struct {
    uint32_t role, turn;
    uint32_t prompt; /* index in wire_episodes_t.prompts */
    wire_ids_t ids;
    const float *logps;
    bool stopped;
} wire_completion_t;

typedef struct {
    const char *history; /* JSON; the task stands in the group */
    wire_reward_t reward;
    const wire_completion_t *completions; /* sorted by (turn, role); none of engines */
    size_t completions_n;
    /* that its roles wrote, engines too: all together, and the longest of each turn together */
    uint32_t tokens, critical_path;
} wire_episode_t;

/*  A finished group, committed once. */
typedef struct {
    uint64_t group;
    const wire_ids_t *prompts; /* distinct */
    size_t prompts_n;
    const wire_episode_t *episodes; /* G, in order */
    size_t episodes_n;
    const double *others; /* rewards of teams that were not played (task/mates.h), in order */
    size_t others_n;
} wire_episodes_t;

/*  ---- value: the centralised critic ---------------------------------------------------------- */

/*  What one role said in a turn, or was told before it. */
typedef struct {
    uint32_t role; /* index into the group's roles */
    const char *text;
} wire_said_t;

typedef struct {
    const wire_said_t *said;
    size_t said_n;
    const wire_said_t *told; /* by a program that plays the episode */
    size_t told_n;
} wire_turn_t;

typedef struct {
    const wire_turn_t *turns;
    size_t turns_n;
} wire_transcript_t;

/*  The episodes of one group as the critic reads them: without the task's hidden checks. */
typedef struct {
    const char *brief;
    const char *const *roles;
    size_t roles_n;
    const wire_transcript_t *episodes;
    size_t episodes_n;
} wire_transcripts_t;

typedef struct {
    const char *run;
    uint64_t step; /* values for step k come from state k - 1 */
    hash_t state;  /* hash of that state */
    const wire_transcripts_t *groups;
    size_t groups_n;
} wire_value_request_t;

typedef struct {
    uint32_t episode, role, turn; /* the episode is counted over all groups */
    double value;
} wire_value_t;

typedef struct {
    const wire_value_t *values; /* sorted by (episode, turn, role) */
    size_t values_n;
} wire_value_reply_t;

typedef struct {
    const char *run;
    uint64_t step;
    hash_t state; /* from which to learn: an object, fetched by a critic that does not hold it;
                            zero: begin with a state of this shape */
    uint32_t replay, context;         /* texts that it keeps, words of a text */
    const wire_transcripts_t *groups; /* all of the step, in order */
    size_t groups_n;
    const double *returns; /* one per episode */
    size_t returns_n;
} wire_learn_request_t;

typedef struct {
    /* after learning: one object on the policies actor */
    hash_t state;
    uint64_t size;
    double explained_variance; /* on these episodes, before learning from them */
    double loss;
} wire_learn_reply_t;

/*  ---- events --------------------------------------------------------------------------------- */

typedef enum {
    WIRE_STEP_OPENED,      /* step, groups */
    WIRE_GROUP_COMMITTED,  /* step, group, phase, metrics: reward ... */
    WIRE_EPISODE_SHOWN,    /* step, phase, text: state without hidden checks, with "reward" */
    WIRE_STEP_DONE,        /* step, metrics: everything that is logged */
    WIRE_EVAL_DONE,        /* step, metrics */
    WIRE_POLICY_PUBLISHED, /* version */
    WIRE_SERVICE_STATUS, /* metrics of a service: version held, tokens/s, rows, queue, drops ... */
    WIRE_RUN_STATE,      /* text: "training", "evaluating", "done", "failed: ..." */
    WIRE_GROUP_REFUSED,  /* step, group, phase, text: why nobody here will ever play it */
    WIRE_GROUP_TROUBLE,  /* step, group, phase, text: who failed it last, and how; tried again */
    WIRE_RUN_NOTE,       /* step, text: what people should know at once */
    WIRE_RUN_OPENED,     /* step it begins at, metrics: steps, seed; text: what runs, JSON */
    WIRE_RUN_FAILED,     /* step, text: why */
    WIRE_RUN_STOPPED,    /* step, text: why; it can be resumed */
    WIRE_GROUP_TRACED,   /* step, group, phase, text: where its time went, JSON */
    WIRE_EVENT_COUNT
} wire_event_kind_t;

typedef struct {
    wire_event_kind_t kind;
    const char *run;
    uint64_t step, group;
    wire_phase_t phase;
    wire_version_t version;
    const wire_part_t *metrics;
    size_t metrics_n;
    const char *text;
    /*  Who sent it, and when (svc/event.h); NULL and 0: not said. */
    uint64_t time_us; /* wall clock, since 1970 */
    const char *service, *host, *program;
    uint64_t pid;
    const char *doing; /* SERVICE_STATUS, RUN_STATE: what the sender is busy with */
} wire_event_t;

/*  "step.opened", ...; the topic on the events actor is "<run>/<name>" or "service/<name>". */
const char *wire_event_name (wire_event_kind_t kind);
const char *wire_phase_name (wire_phase_t phase); /* "train", "eval-sampled", "eval-greedy" */

/*  ---- policies ------------------------------------------------------------------------------- */

#define WIRE_CHUNK (1 << 20)

/*  Says what a version is made of. Objects are named by their hash. */
typedef struct {
    const char *run;
    wire_version_t version;
    hash_t config;    /* object: text of config.json */
    hash_t tokenizer; /* object: text of tokenizer.json */
    /* of the weights' bytes: "f32", "bf16"; little-endian, order of model_tensor () */
    const char *dtype;
    const char *compute; /* "f32", "bf16": what everybody computes with */
    uint64_t size;       /* bytes of the weights object */
    bool retired;        /* agents may forget this version */
    hash_t before;       /* version.hash of the version before, when there is a delta; else zero */
    hash_t delta;        /* object: what changed since (model/delta.h) */
    uint64_t delta_size; /* its bytes */
    hash_t base; /* object: frozen weights, in the type of compute, that this version's adapters go
                            on; zero: it stands by itself */
    uint64_t base_size;   /* its bytes */
    hash_t adapter;       /* object: text of adapter_config.json; zero without a base */
    const char *numerics; /* numeric path of the trainer: whoever samples must have the same */
} wire_manifest_t;

/*  ---- pack and unpack, one pair per message -------------------------------------------------- */

#define WIRE_MESSAGES(X)                                                                           \
    X (act_request)                                                                                \
    X (act_reply)                                                                                  \
    X (score_request)                                                                              \
    X (score_reply)                                                                                \
    X (group)                                                                                      \
    X (episodes)                                                                                   \
    X (value_request)                                                                              \
    X (value_reply)                                                                                \
    X (learn_request)                                                                              \
    X (learn_reply)                                                                                \
    X (event)                                                                                      \
    X (manifest)

#define WIRE_DECLARE(name)                                                                         \
    void wire_##name##_pack (const wire_##name##_t *message, buf_t *bytes);                        \
    const wire_##name##_t *wire_##name##_unpack (arena_t *arena, const void *data, size_t size,    \
                                                 err_t *err);
WIRE_MESSAGES (WIRE_DECLARE)
#undef WIRE_DECLARE

#endif
