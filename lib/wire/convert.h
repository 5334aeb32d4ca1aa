/*  convert - between plain structs and generated protobuf; private to wire.
 *
 *      convert_finish (built, &pb.base, &arena, bytes);
 *      const Quintet__ActReply *in = CONVERT_UNPACK (quintet__act_reply, arena, data, size, &err);
 *      wire_act_reply_t *out = in ? convert_items (arena, 1, sizeof *out, "reply", &err) : NULL;
 */
#ifndef QUINTET_WIRE_CONVERT_H
#define QUINTET_WIRE_CONVERT_H

#include "event.pb-c.h"
#include "team.pb-c.h"
#include "wire/wire.h"

/*  Most items that a repeated field may hold. */
#define LIMIT_IDS        (1u << 20)
#define LIMIT_EPISODES   (1u << 16)
#define LIMIT_PROMPTS    (1u << 16)
#define LIMIT_PARTS      256u
#define LIMIT_ROLES      8u
#define LIMIT_TURNS      1024u
#define LIMIT_STOP_TEXTS 16u
#define LIMIT_VALUES     (1u << 20)
/*  Most bytes of a name, and of a text that people write. */
#define LIMIT_NAME 128u
#define LIMIT_TEXT 65536u
/*  Largest width, layers and heads of a value network. */
#define LIMIT_SHAPE 65536u

void convert_pack (const ProtobufCMessage *message, buf_t *bytes);
ProtobufCMessage *convert_unpack (const ProtobufCMessageDescriptor *descriptor, arena_t *arena,
                                  const void *data, size_t size, err_t *err);
#define CONVERT_UNPACK(name, arena, data, size, err)                                               \
    (void *) convert_unpack (&name##__descriptor, arena, data, size, err)

/*  Cleared memory for packing: NULL when it runs out, which then ends in buf_failed. */
void *convert_array (arena_t *arena, size_t n, size_t size);
/*  The same for unpacking: NULL says so in err. */
void *convert_items (arena_t *arena, size_t n, size_t size, const char *field, err_t *err);
/*  Ends a pack function and destroys the arena: what could not be built fails the buf, so that the
 *  caller sees it in one place. */
void convert_finish (bool ok, const ProtobufCMessage *message, arena_t **arena, buf_t *bytes);

/*  Each returns 0, or -1 and an error that names the field. */
int convert_count (size_t n, size_t most, const char *field, err_t *err);
int convert_name (const char *text, const char *field, err_t *err);
int convert_text (const char *text, const char *field, err_t *err);
/*  Each must be a text, and not empty: that one would begin everywhere. */
int convert_stop_texts (char *const *texts, size_t n, const char *field, err_t *err);
int convert_range (double value, double low, double high, const char *field, err_t *err);
/*  Token ids: at most LIMIT_IDS, none below 0. */
int convert_ids (const int32_t *ids, size_t n, const char *field, err_t *err);
/*  Names of seats: at least one. */
int convert_roles (char *const *names, size_t n, err_t *err);
int convert_finite (double value, const char *field, err_t *err);
int convert_floats (const float *values, size_t n, const char *field, err_t *err);
int convert_hash (const ProtobufCBinaryData *in, bool may_be_empty, hash_t *out, const char *field,
                  err_t *err);
int convert_phase (int in, wire_phase_t *out, err_t *err);
int convert_version (const Quintet__Version *in, wire_version_t *out, err_t *err);
/*  NULL: every id may be drawn. One that changes anything is refused in training. */
int convert_filter (const Quintet__Filter *in, wire_phase_t phase, wire_filter_t *out, err_t *err);
int convert_weights (const Quintet__Weights *in, wire_weights_t *out, err_t *err);
/*  measured: every value must be finite. (A metric of an event that is not was not measured.) */
int convert_parts (arena_t *arena, Quintet__Part *const *in, size_t n, bool measured,
                   const wire_part_t **out, err_t *err);
int convert_reward (arena_t *arena, const Quintet__Reward *in, wire_reward_t *out, err_t *err);
int convert_episodes (arena_t *arena, Quintet__Episode *const *in, size_t n,
                      const wire_episode_t **out, err_t *err);

/*  protobuf-c's structs are not const-correct; nothing is written through these pointers. */
static inline void *convert_borrow (const void *data)
{
    return (void *) (uintptr_t) data;
}

/*  The other way; arrays come from the arena, the rest is borrowed from the plain struct. */
ProtobufCBinaryData convert_to_hash (const hash_t *in);
Quintet__Version convert_to_version (const wire_version_t *in);
/*  False: there is nothing in it, and the field is left out. */
bool convert_to_filter (const wire_filter_t *in, Quintet__Filter *out);
Quintet__Weights convert_to_weights (const wire_weights_t *in);
Quintet__Part **convert_to_parts (arena_t *arena, const wire_part_t *in, size_t n);
Quintet__Reward *convert_to_reward (arena_t *arena, const wire_reward_t *in);
Quintet__Episode **convert_to_episodes (arena_t *arena, const wire_episode_t *in, size_t n);

#define CONVERT_BUDGET ((size_t) 1 << 30) /* of an arena for packing */

#endif
