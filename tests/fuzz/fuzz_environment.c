/* with: services/environment/group.c services/environment/asks.c services/environment/answers.c
 * services/environment/prompt.c services/environment/result.c */
/*  fuzz_environment [SECONDS] [SEED]: damaged groups from the store and damaged answers from
 *  peers. Whatever the bytes are, they are refused, or the group goes on to a result that can be
 *  read. */
#include <stdio.h>

#include "../../services/environment/group.h"
#include "../unit/environment_fixture.h"
#include "base/clock.h"
#include "base/rng.h"

#define ANSWERS_MAX 12 /* then the group is let go: turns may be many */

static void mutate (rng_t *rng, buf_t *bytes, uint64_t most)
{
    for (uint64_t n = rng_below (rng, most + 1); n-- > 0 && bytes->size;) {
        size_t at = (size_t) rng_below (rng, bytes->size);
        if (rng_below (rng, 8) == 0)
            bytes->size = at;
        else
            bytes->data[at] = (char) rng_next (rng);
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

static void answer_turn (rng_t *rng, group_t *group)
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
            mutate (rng, &bytes, tries < 3 ? 2 : 0);
            rc = give (group, i, &bytes);
            buf_free (&bytes);
        }
        if (rc != 0)
            group_fail (group, ERR_INTERNAL, "a right answer was refused");
    }
}

/*  1: played to the end. */
static size_t play (rng_t *rng, group_t *group)
{
    for (int turn = 0; turn < ANSWERS_MAX && group_state (group) == GROUP_ASKING; turn++) {
        answer_turn (rng, group);
        if (group_state (group) == GROUP_STORING)
            group_stored (group);
    }
    if (group_state (group) != GROUP_DONE)
        return 0;
    wire_part_t metrics[GROUP_METRICS];
    group_metrics (group, metrics);
    arena_t *arena = arena_new (64 << 20);
    const buf_t *result = group_result (group);
    if (!wire_episodes_unpack (arena, result->data, result->size, NULL))
        abort ();
    arena_destroy (&arena);
    return 1;
}

static size_t try_one (rng_t *rng, const buf_t *seed, const tokenizer_t *tokenizer)
{
    buf_t bytes = {0};
    size_t done = 0;
    buf_append (&bytes, seed->data, seed->size);
    mutate (rng, &bytes, 2);
    group_t *group = group_new (bytes.data, bytes.size, NULL);
    /* The fixture answers for at most 64 episodes and completions of 8 tokens. */
    if (group && group_message (group)->episodes <= 64 && group_message (group)->max_tokens >= 8) {
        size_t roles = group_message (group)->roles_n;
        for (size_t r = 0; r < roles && group_state (group) == GROUP_READING; r++)
            group_tokenizer (group, r, tokenizer);
        done = play (rng, group);
    }
    group_destroy (&group);
    buf_free (&bytes);
    return done;
}

int main (int argc, char **argv)
{
    double seconds = argc > 1 ? strtod (argv[1], NULL) : 2;
    rng_t rng = {.key = argc > 2 ? strtoull (argv[2], NULL, 10) : 1};
    char *text = fixture_tokenizer_text ();
    tokenizer_t *tokenizer = tokenizer_parse (text, strlen (text), NULL);
    fixture_group_t f;
    fixture_group (&f, text);
    f.group.max_turns = 2;
    buf_t seed = {0};
    wire_group_pack (&f.group, &seed);
    size_t n = 0, done = 0;
    for (double end = clock_s () + seconds; tokenizer && clock_s () < end; n++)
        done += try_one (&rng, &seed, tokenizer);
    buf_free (&seed);
    tokenizer_destroy (&tokenizer);
    free (text);
    printf ("fuzz_environment: %zu inputs, %zu played to the end\n", n, done);
    return done > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
