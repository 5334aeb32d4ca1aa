/*  Configurations: what is wrong is named with file, line and key. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

#define GOOD "model:\n  path: m\nteam:\n  roles: [aux, main]\ntask:\n  family: coding\n"

static conf_t *parse (const char *text, const char *override, err_t *err)
{
    return conf_parse (text, strlen (text), "x.yml", &override, override ? 1 : 0, err);
}

static void refused (const char *text, const char *override, const char *wanted)
{
    err_t err = {0};
    conf_t *conf = parse (text, override, &err);
    if (conf || err.code != ERR_CONFIG || !strstr (err.text, wanted))
        fail_msg ("'%s' is wanted, got '%s'", wanted, conf ? "(taken)" : err.text);
}

static void values_are_read (void **state)
{
    (void) state;
    err_t err = {0};
    conf_t *conf = parse (GOOD "trainer:\n  lr: 3e-4\n  groups: 4\n", "trainer.steps=7", &err);
    if (!conf)
        fail_msg ("%s", err.text);
    assert_true (conf->trainer.lr > 2.9e-4 && conf->trainer.lr < 3.1e-4);
    assert_int_equal (conf->trainer.groups, 4);
    assert_int_equal (conf->trainer.steps, 7);
    assert_int_equal (conf->trainer.group_size, 8); /* the default */
    assert_int_equal (conf->team.roles.n, 2);
    assert_string_equal (conf->team.roles.item[1], "main");
    conf_destroy (&conf);
}

static void what_is_wrong_is_named (void **state)
{
    (void) state;
    refused (GOOD "trainer:\n  stepz: 3\n", NULL,
             "x.yml:8: trainer.stepz: no such key; did you mean trainer.steps");
    refused (GOOD "trainr:\n  steps: 3\n", NULL,
             "x.yml:7: trainr: no such section; did you mean trainer");
    refused (GOOD "trainer:\n  steps: many\n", NULL, "x.yml:8: trainer.steps: 'many'");
    refused (GOOD "trainer:\n  steps: 1.5\n", NULL, "x.yml:8: trainer.steps");
    refused (GOOD "trainer:\n  steps: -1\n", NULL, "is not between");
    refused (GOOD "trainer:\n  steps: 1\n  steps: 2\n", NULL, "x.yml:9: steps: given twice");
    refused (GOOD "trainer:\n  schedule: wavy\n", NULL, "constant|linear|cosine");
    refused (GOOD "loss:\n  kl_ratio: perhaps\n", NULL, "neither true nor false");
    refused (GOOD "run: &a\n  seed: 1\n", "x", "section.key=value");
    refused (GOOD "run:\n  seed: *a\n", NULL, "x.yml:8");
    refused (GOOD "run:\n  seed: {a: 1}\n", NULL, "x.yml:8");
    refused (GOOD "run: [1\n", NULL, "x.yml:");
    refused (GOOD, "model.lora_rank=4", "model.lora_rank does nothing while model.adapter is none");
    refused (GOOD, "model.lora_targets=q_proj", "model.lora_targets does nothing while");
    refused (GOOD, "model.adapter_path=x", "model.adapter_path does nothing while");
    refused (GOOD, "loss.kl_estimator=k2", "loss.kl_estimator does nothing while loss.kl is 0");
    refused (GOOD, "loss.overlong_tokens=65", "loss.overlong_tokens 65 is more than");
    refused (GOOD, "trainer.lr", "--set trainer.lr");
    refused (GOOD, "trainer.rl=1", "did you mean lr");
    refused ("model:\n  path: m\nteam:\n  roles: [a]\n", NULL, "task.family");
    refused ("model:\n  path: m\ntask:\n  family: coding\n", NULL, "team.roles");
    refused (GOOD "trainer:\n  group_size: 1\n", NULL, "group_size");
    refused (GOOD "critic:\n  width: 32\n", NULL, "critic.width");
    err_t err = {0};
    assert_null (conf_load ("/nowhere/x.yml", NULL, 0, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "/nowhere/x.yml"));
}

static void what_is_printed_reads_back (void **state)
{
    (void) state;
    err_t err = {0};
    conf_t *conf = parse (GOOD "reward:\n  command: 'say \"x\"'\n  speed: 0.1\n", NULL, &err);
    assert_non_null (conf);
    buf_t plain = {0}, helped = {0}, again = {0};
    conf_print (conf, false, &plain);
    conf_print (conf, true, &helped);
    conf_t *back = parse (helped.data, NULL, &err);
    if (!back)
        fail_msg ("%s", err.text);
    conf_print (back, false, &again);
    assert_string_equal (plain.data, again.data);
    buf_clear (&again);
    conf_objective (conf, &again);
    assert_non_null (strstr (again.data, "R = 1 quality + 0.1 speed"));
    assert_non_null (strstr (again.data, "reproducible: no"));
    buf_free (&plain);
    buf_free (&helped);
    buf_free (&again);
    conf_destroy (&conf);
    conf_destroy (&back);
}

/*  Nobody knows what a program of the user's own answers the next time. */
static void what_is_not_reproducible_is_said (void **state)
{
    (void) state;
    err_t err = {0};
    buf_t text = {0};
    conf_t *own = parse (GOOD, "reward.command=mine", &err), *built_in = parse (GOOD, NULL, &err);
    assert_true (own && built_in);
    assert_false (conf_reproducible (own));
    assert_true (conf_reproducible (built_in));
    conf_objective (built_in, &text);
    assert_null (strstr (text.data, "reproducible"));
    buf_free (&text);
    conf_destroy (&own);
    conf_destroy (&built_in);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (values_are_read),
        cmocka_unit_test (what_is_wrong_is_named),
        cmocka_unit_test (what_is_printed_reads_back),
        cmocka_unit_test (what_is_not_reproducible_is_said),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
