/*  bus_keys_fixture - what the tests of a bus with keys share: one that knows a certificate of each
 *  kind, and those who come by them.
 *
 *  Include after cmocka.h, and compile services/bus/ except its main.c with it.
 */
#ifndef QUINTET_TESTS_BUS_KEYS_FIXTURE_H
#define QUINTET_TESTS_BUS_KEYS_FIXTURE_H

#include "bus/authority.h"
#include "bus_fixture.h"

static const char *const kinds[] = {"agent",   "environment", "reward", "critic",
                                    "trainer", "operator",    "tap",    "monitor"};
#define KINDS (sizeof kinds / sizeof *kinds)

static inline void folder (const fixture_t *f, char path[FS_PATH_MAX], const char *name)
{
    snprintf (path, FS_PATH_MAX, "%s/keys%s%s", f->dir, *name ? "/" : "", name);
}

/*  A bus that knows one certificate of each kind. */
static inline int setup_keys_with (void **state, guard_limits_t limits)
{
    char dir[FS_PATH_MAX];
    keys_t bus;
    err_t err = {0};
    if (setup_address (state) != 0)
        return -1;
    fixture_t *f = *state;
    folder (f, dir, "");
    int rc = authority_init (dir, &err);
    for (size_t i = 0; rc == 0 && i < KINDS; i++)
        rc = authority_add (dir, kinds[i], "", &err);
    folder (f, dir, "bus");
    if (rc == 0 && keys_load (dir, &bus, &err) == 0)
        f->actors = actors_new_with (
            &(actors_options_t){.address = f->address, .keys = &bus, .limits = limits}, &err);
    if (!f->actors)
        fprintf (stderr, "%s\n", err.text);
    return f->actors ? 0 : -1;
}

static inline int setup_keys (void **state)
{
    return setup_keys_with (state, (guard_limits_t){0});
}

static inline keys_t keys_of (const fixture_t *f, const char *name)
{
    char dir[FS_PATH_MAX];
    keys_t keys;
    err_t err = {0};
    folder (f, dir, name);
    assert_int_equal (keys_load (dir, &keys, &err), 0);
    return keys;
}

/*  keys NULL: without. */
static inline bus_t *come (const fixture_t *f, const keys_t *keys, const char *name)
{
    err_t err = {0};
    bus_options_t options = {.address = f->address, .name = name, .numerics = "same", .keys = keys};
    bus_t *bus = bus_new (&options, &err);
    assert_non_null (bus);
    return bus;
}

static inline bus_t *join_as (const fixture_t *f, const char *kind, const char *name)
{
    keys_t keys = keys_of (f, kind);
    err_t err = {0};
    bus_t *bus = come (f, &keys, name);
    if (bus_ready (bus, PATIENCE_MS, &err) != 0)
        fail_msg ("%s", err.text);
    return bus;
}

/*  Waits until bus_next fails, and returns why. */
static inline void expect_failure (bus_t *bus, err_code_t code, const char *text)
{
    err_t err = {0};
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end;) {
        bus_item_t item;
        if (bus_next (bus, &item, 20, &err) < 0) {
            assert_int_equal (err.code, code);
            if (!strstr (err.text, text))
                fail_msg ("'%s' does not say '%s'", err.text, text);
            return;
        }
    }
    fail_msg ("nobody said '%s'", text);
}

static inline void await_fall (const fixture_t *f, const char *name, double value)
{
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && metric (f, name) > value;)
        clock_sleep_ms (5);
    assert_true (metric (f, name) <= value);
}

#endif
