/* with: services/cli/suite/presence.c */
/*  Which service a run lacks, and what is said of it. The clock is set forward. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../services/cli/suite/presence.h"
#include "base/clock.h"

#define BUS "tcp://10.0.0.1:5550"

static presence_t presence;
static conf_t *conf;

static int setup (void **state)
{
    (void) state;
    presence = (presence_t){0};
    conf = conf_load ("deploy/config/coding.yml", NULL, 0, NULL);
    return conf ? 0 : -1;
}

static int teardown (void **state)
{
    (void) state;
    conf_destroy (&conf);
    return 0;
}

static void hear (const char *metric)
{
    wire_part_t part = {.name = metric, .value = 1};
    presence_event (&presence,
                    &(wire_event_t){.kind = WIRE_SERVICE_STATUS, .metrics = &part, .metrics_n = 1});
}

static void hear_all (void)
{
    hear ("service/agent");
    hear ("service/environment");
    hear ("service/reward");
}

/*  words NULL: nothing is lacking. */
static void lacks (const char *bus, const char *words)
{
    const char *text = presence_lacks (&presence, conf, bus, "unix:/redis");
    if (!words)
        assert_null (text);
    else if (!text || !strstr (text, words))
        fail_msg ("'%s' holds no '%s'", text ? text : "nothing", words);
}

static void who_is_missing_in_a_suite_is_named_with_a_command (void **state)
{
    (void) state;
    lacks (BUS, "no quintet-agent on the bus at " BUS ": start it with  quintet-agent --bus " BUS);
    hear ("service/agent");
    lacks (BUS, "quintet-environment --bus " BUS " --redis unix:/redis");
    hear_all ();
    lacks (BUS, NULL);
    clock_forward (21000);
    hear ("service/agent");
    lacks (BUS, "no quintet-environment");
}

static void in_a_suite_of_ones_own_who_fell_silent_is (void **state)
{
    (void) state;
    lacks (NULL, NULL);
    hear_all ();
    clock_forward (15000);
    hear ("service/environment");
    hear ("service/reward");
    lacks (NULL, NULL);
    clock_forward (6000);
    hear ("service/environment");
    hear ("service/reward");
    lacks (NULL, "quintet-agent has said nothing since ");
    hear ("service/agent");
    lacks (NULL, NULL);
}

/*  The first to be silent for long enough is no reason to start another. */
static void where_nothing_is_heard_the_bus_is_named (void **state)
{
    (void) state;
    hear_all ();
    clock_forward (1000);
    hear ("service/reward");
    clock_forward (19500);
    lacks (BUS, "nothing is heard from the bus at " BUS " any more");
    lacks (NULL, "nothing is heard from the bus any more");
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (who_is_missing_in_a_suite_is_named_with_a_command),
        TEST (in_a_suite_of_ones_own_who_fell_silent_is),
        TEST (where_nothing_is_heard_the_bus_is_named),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
