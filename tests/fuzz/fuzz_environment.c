/* with: services/environment/group.c services/environment/asks.c services/environment/judging.c
 * services/environment/tools.c services/environment/answers.c services/environment/told.c
 * services/environment/prompt.c services/environment/result.c */
/*  Damaged groups from the store and damaged answers from peers. Whatever the bytes are, they are
 *  refused, or the group goes on to a result that can be read. */
#include "../../services/environment/group.h"
#include "../unit/environment_fixture.h"
#include "fuzz.h"

#define ANSWERS_MAX 12 /* then the group is let go: turns may be many */

/*  An input is a run of edits, three bytes each: how far from the last place, what to put there; a
 *  distance of 255 cuts there. The first edits are the group's, those after a pause (0, 0, 0) an
 *  answer's, and so on. */
typedef struct {
    const uint8_t *data;
    size_t size;
} edits_t;

static void edit (edits_t *edits, buf_t *bytes)
{
    size_t at = 0;
    while (edits->size >= 3 && bytes->size) {
        uint8_t far = edits->data[0], to = edits->data[1], high = edits->data[2];
        edits->data += 3;
        edits->size -= 3;
        if (far == 0 && to == 0 && high == 0)
            return;
        at = (at + far + 256u * high) % bytes->size;
        if (far == 255)
            bytes->size = at;
        else
            bytes->data[at] = (char) to;
    }
}

/*  An answer in a block of its own size, so that a read past its end is seen. */
static int give (group_t *group, size_t ask, const buf_t *bytes)
{
    char *copy = malloc (bytes->size + !bytes->size);
    memcpy (copy, bytes->size ? bytes->data : "", bytes->size);
    int rc = group_answer (group, ask, copy, bytes->size, NULL);
    free (copy);
    return rc;
}

static void answer_turn (edits_t *edits, group_t *group)
{
    for (size_t n = group_asks (group), i = 0; i < n && group_state (group) == GROUP_ASKING; i++) {
        const group_ask_t *ask = group_ask (group, i);
        bool act = strcmp (ask->service, "act") == 0;
        int rc = -1;
        for (int tries = 0; rc != 0 && tries < 4; tries++) {
            buf_t bytes = {0};
            if ((act ? fixture_act : fixture_score) (ask->payload.data, ask->payload.size,
                                                     &bytes) != 0) {
                group_fail (group, ERR_INPUT, "the peer refused");
                return;
            }
            if (tries < 3)
                edit (edits, &bytes);
            rc = give (group, i, &bytes);
            buf_free (&bytes);
        }
        if (rc != 0)
            group_fail (group, ERR_INTERNAL, "a right answer was refused");
    }
}

static void play (edits_t *edits, group_t *group)
{
    for (int turn = 0; turn < ANSWERS_MAX && group_state (group) == GROUP_ASKING; turn++) {
        answer_turn (edits, group);
        if (group_state (group) == GROUP_STORING)
            group_stored (group);
    }
    if (group_state (group) != GROUP_DONE)
        return;
    wire_part_t metrics[GROUP_METRICS];
    group_metrics (group, metrics);
    arena_t *arena = arena_new (64 << 20);
    const buf_t *result = group_result (group);
    if (!wire_episodes_unpack (arena, result->data, result->size, NULL))
        abort ();
    arena_destroy (&arena);
}

static tokenizer_t *tokenizer;
static buf_t seed;

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    buf_t bytes = {0};
    edits_t edits = {data, size};
    buf_append (&bytes, seed.data, seed.size);
    edit (&edits, &bytes);
    group_t *group = group_new (bytes.data, bytes.size, NULL);
    /* The fixture answers for at most 64 episodes and completions of 8 tokens. */
    if (group && group_message (group)->episodes <= 64 && group_message (group)->max_tokens >= 8) {
        size_t roles = group_message (group)->roles_n;
        for (size_t r = 0; r < roles && group_state (group) == GROUP_READING; r++)
            group_tokenizer (group, r, tokenizer);
        play (&edits, group);
    }
    bool played = group && group_state (group) == GROUP_DONE;
    if (size == 0 && !played)
        abort (); /* an undamaged group is played to its end, or nothing here is tried */
    group_destroy (&group);
    buf_free (&bytes);
    return 0;
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
{
    static char *text;
    static fixture_group_t f;
    text = fixture_tokenizer_text ();
    tokenizer = tokenizer_parse (text, strlen (text), NULL);
    fixture_group (&f, text);
    f.group.max_turns = 2;
    wire_group_pack (&f.group, &seed);
    if (!tokenizer || !seed.size)
        fuzz_fail ("fixture");
    fuzz_seed ("edits", "\0\0\0\7\1\0\0\0\0\3\2\0\0\0\0", 15);
    return fuzz_seeds (argc, argv);
}
