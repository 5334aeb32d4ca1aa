/*  environment_group - groups without a bus: begun, and answered as peers would answer them. */
#ifndef QUINTET_TESTS_ENVIRONMENT_GROUP_H
#define QUINTET_TESTS_ENVIRONMENT_GROUP_H

#include "../../services/environment/group.h"
#include "environment_fixture.h"

static char *tokenizer_text;
static tokenizer_t *tokenizer;
static err_t err;

static inline int open_all (void **state)
{
    (void) state;
    tokenizer_text = fixture_tokenizer_text ();
    tokenizer = tokenizer_parse (tokenizer_text, strlen (tokenizer_text), &err);
    if (!tokenizer)
        fail_msg ("%s", err.text);
    return 0;
}

static inline int close_all (void **state)
{
    (void) state;
    tokenizer_destroy (&tokenizer);
    free (tokenizer_text);
    return 0;
}

static inline group_t *group_of (const fixture_group_t *f)
{
    buf_t bytes = {0};
    wire_group_pack (&f->group, &bytes);
    group_t *group = group_new (bytes.data, bytes.size, &err);
    if (!group)
        fail_msg ("group_new: %s", err.text);
    buf_free (&bytes);
    return group;
}

/*  A group whose roles have their tokenizers. */
static inline group_t *begun (const fixture_group_t *f)
{
    group_t *group = group_of (f);
    for (size_t r = 0; r < f->group.roles_n && group_state (group) == GROUP_READING; r++) {
        assert_false (group_has_tokenizer (group, r));
        group_tokenizer (group, r, tokenizer);
    }
    return group;
}

static inline void expect_state (const group_t *group, group_state_t expected)
{
    if (group_state (group) != expected)
        fail_msg ("state %d, expected %d: %s", (int) group_state (group), (int) expected,
                  group_error (group)->text);
}

static inline void answer_one (group_t *group, size_t ask)
{
    const group_ask_t *a = group_ask (group, ask);
    buf_t bytes = {0};
    (strcmp (a->service, "act") == 0 ? fixture_act : fixture_score) (a->payload.data,
                                                                     a->payload.size, &bytes);
    if (group_answer (group, ask, bytes.data, bytes.size, &err) != 0)
        fail_msg ("answer %zu: %s", ask, err.text);
    buf_free (&bytes);
}

/*  Plays to the end, answering the asks of a turn in order or in reverse. */
static inline void play (group_t *group, bool reversed)
{
    while (group_state (group) == GROUP_ASKING || group_state (group) == GROUP_STORING) {
        size_t n = group_state (group) == GROUP_ASKING ? group_asks (group) : 0;
        for (size_t i = 0; i < n; i++)
            answer_one (group, reversed ? n - 1 - i : i);
        if (group_state (group) == GROUP_STORING)
            group_stored (group);
    }
}

#endif
