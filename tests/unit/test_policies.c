/*  The table of policies of a configuration: what a row says, who plays by it, what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "conf/conf.h"

#define TASK "task:\n  family: coding\n"
#define TEAM "team:\n  roles: [aux, main]\n"
#define GOOD "model:\n  path: m\n  chat: chatml\n" TEAM TASK
#define NAMED                                                                                      \
    "policies:\n  writers: {path: w, adapter: lora, lora_rank: 4, lr: 2e-4}\n"                     \
    "  judge:\n    path: j\n    train: false\n"                                                    \
    "team:\n  roles:\n    aux: {policy: judge}\n    main: {policy: writers}\n" TASK

#define REMOTE                                                                                     \
    "policies:\n  writers: {path: w}\n  guide:\n    engine: openai\n    url: http://h/v1\n"        \
    "    model: m\n"                                                                               \
    "team:\n  roles:\n    aux: {policy: guide, system: Help.}\n    main: {policy: writers}\n" TASK

static conf_t *parse (const char *text, const char *override, err_t *err)
{
    return conf_parse (text, strlen (text), "x.yml", &override, override ? 1 : 0, err);
}

static conf_t *taken (const char *text, const char *override)
{
    err_t err = {0};
    conf_t *conf = parse (text, override, &err);
    if (!conf)
        fail_msg ("%s", err.text);
    return conf;
}

static void refused (const char *text, const char *override, const char *wanted)
{
    err_t err = {0};
    conf_t *conf = parse (text, override, &err);
    if (conf || err.code != ERR_CONFIG || !strstr (err.text, wanted))
        fail_msg ("'%s' is wanted, got '%s'", wanted, conf ? "(taken)" : err.text);
    conf_destroy (&conf);
}

static void the_short_form_is_a_table (void **state)
{
    (void) state;
    conf_t *conf = taken (GOOD, "trainer.lr=0.5");
    assert_int_equal (conf->policies_n, 1);
    assert_false (conf_names_policies (conf));
    assert_string_equal (conf->policies[0].name, "shared");
    assert_string_equal (conf->policies[0].path, "m");
    assert_string_equal (conf->policies[0].chat, "chatml");
    assert_true (conf->policies[0].train && conf->policies[0].lr >= 0.5);
    assert_ptr_equal (conf_policy (conf, 0), conf_policy (conf, 1));
    conf_destroy (&conf);
    conf = taken (GOOD, "team.policies=per_role");
    assert_int_equal (conf->policies_n, 2);
    assert_string_equal (conf_policy (conf, 0)->name, "aux");
    assert_string_equal (conf_policy (conf, 1)->name, "main");
    assert_string_equal (conf->policies[1].path, "m");
    conf_destroy (&conf);
}

static void a_row_says_what_differs (void **state)
{
    (void) state;
    conf_t *conf = taken (NAMED, "model.compute=bf16");
    assert_int_equal (conf->policies_n, 2);
    const conf_policy_t *judge = conf_policy (conf, 0), *writers = conf_policy (conf, 1);
    assert_string_equal (judge->name, "judge");
    assert_string_equal (judge->path, "j");
    assert_string_equal (judge->compute, "bf16"); /* what the model says */
    assert_false (judge->train);
    assert_string_equal (writers->path, "w");
    assert_string_equal (writers->adapter, "lora");
    assert_int_equal (writers->lora_rank, 4);
    assert_true (writers->train && writers->lr > 1.9e-4 && writers->lr < 2.1e-4);
    conf_destroy (&conf);
    conf = taken (NAMED, "policies.judge.path=k");
    assert_string_equal (conf_policy (conf, 0)->path, "k");
    conf_destroy (&conf);
    /* A policy of the role's name needs no word, and neither does an only one. */
    conf = taken ("policies: {main: {path: a}, aux: {path: b, train: false}}\n" TEAM TASK, NULL);
    assert_string_equal (conf_policy (conf, 0)->path, "b");
    assert_string_equal (conf_policy (conf, 1)->path, "a");
    conf_destroy (&conf);
    conf = taken ("policies: {one: }\n" GOOD, NULL);
    assert_string_equal (conf_policy (conf, 1)->name, "one");
    assert_string_equal (conf_policy (conf, 1)->path, "m");
    conf_destroy (&conf);
}

static void what_is_wrong_is_named (void **state)
{
    (void) state;
    refused (NAMED "loss:\n", "team.roles.main.policy=x",
             "--set team.roles.main.policy=x: team.roles.main.policy: 'x' is no policy: there are "
             "writers, judge");
    refused ("policies: {a: {path: p}, b: {path: q}}\n" TEAM TASK, NULL,
             "x.yml: team.roles.aux.policy: is missing: by which policy does it play, of a, b?");
    refused ("policies:\n  a: {path: p}\n  main:\n    path: q\n  b: {path: q}\n"
             "team:\n  roles: {aux: {policy: a}, main: }\n" TASK,
             NULL, "x.yml:5: policies.b: nobody plays by it");
    refused (NAMED, "policies.writers.train=false",
             "--set policies.writers.train=false: policies.writers.train is false, as of all");
    refused ("policies:\n  a: {path: p, train: false}\n" TEAM TASK, NULL,
             "x.yml:2: policies.a.train is false, as of all policies: nothing would be trained");
    refused ("policies:\n  a:\n    path: p\n    lr: 1\n    train: false\n" TEAM TASK,
             "trainer.steps=0", "x.yml:4: policies.a.lr does nothing while the policy's train");
    refused ("policies:\n  a:\n    pth: p\n" TEAM TASK, NULL,
             "x.yml:3: policies.a.pth: no such key: a policy has path, compute, ");
    refused ("policies:\n  a:\n    path: p\n    path: q\n" TEAM TASK, NULL,
             "x.yml:4: policies.a.path: given twice");
    refused ("policies:\n  a: {path: p}\n  a: {path: q}\n" TEAM TASK, NULL,
             "x.yml:3: policies.a: given twice");
    refused ("policies:\n  a: {train: maybe, path: p}\n" TEAM TASK, NULL,
             "x.yml:2: policies.a.train: 'maybe' is neither true nor false");
    refused ("policies:\n  a: {compute: f64, path: p}\n" TEAM TASK, NULL, "f32|bf16");
    refused ("policies:\n  a/b: {path: p}\n" TEAM TASK, NULL,
             "x.yml:2: policies: 'a/b' is no name");
    refused ("policies: 3\n" TEAM TASK, NULL, "x.yml:1: policies: a section holds lines");
    refused ("policies:\n  a:\n    lora_rank: 4\n    path: p\n" TEAM TASK, NULL,
             "x.yml:3: policies.a.lora_rank does nothing while the policy's adapter is none");
    refused ("policies:\n  a: {chat: auto}\n" TEAM TASK, NULL,
             "x.yml: model.path is missing: the folder of the model to start from");
    refused ("policies:\n  a: {path: p, chat: loud}\n" TEAM TASK, NULL,
             "x.yml:2: policies.a.chat 'loud' is not known");
    refused (NAMED, "team.policies=per_role", "team.policies does nothing beside policies of your");
    refused (NAMED, "model.path=x", "model.path does nothing: each of the policies has its own");
    refused (NAMED, "run.baseline=solo", "run.baseline is solo, who plays by `model`");
    refused (NAMED, "policies.writers=3", "policies.NAME.KEY=VALUE is wanted");
    refused (GOOD, "team.roles.main.policy=writers", "'writers' is no policy: there are shared");
}

/*  A server of others has no model of ours, and learns nothing. */
static void a_server_plays_by_a_policy (void **state)
{
    (void) state;
    conf_t *conf = taken (REMOTE, "model.compute=bf16");
    const conf_policy_t *guide = conf_policy (conf, 0);
    buf_t engines = {0}, rows = {0};
    assert_true (conf_is_remote (guide) && !conf_is_remote (conf_policy (conf, 1)));
    assert_false (guide->train);
    assert_string_equal (guide->path, "");
    conf_engines (conf, &engines);
    assert_string_equal (engines.data, "http://h/v1 m  32");
    conf_print_policies (conf, CONF_ROWS_WHOLE, &rows);
    assert_non_null (strstr (rows.data, "guide: {engine: \"openai\", url: \"http://h/v1\", model: "
                                        "\"m\", key_env: \"\", concurrency: 32, train: false}  by "
                                        "aux\n"));
    assert_non_null (strstr (rows.data, "engine: \"own\", train: true"));
    assert_false (conf_reproducible (conf));
    buf_clear (&rows);
    conf_objective (conf, &rows);
    assert_non_null (strstr (rows.data, "reproducible: no (a server may answer the same prompt"));
    conf_destroy (&conf);
    conf = taken (REMOTE, "policies.guide.key_env=KEY");
    buf_clear (&engines);
    conf_engines (conf, &engines);
    assert_string_equal (engines.data, "http://h/v1 m KEY 32");
    conf_destroy (&conf);
    buf_free (&engines);
    buf_free (&rows);
}

static void what_a_server_cannot_do_is_named (void **state)
{
    (void) state;
    refused (REMOTE, "policies.guide.train=true",
             "policies.guide.train is true, and a server that only writes texts has nothing to");
    refused (REMOTE, "policies.guide.adapter=lora",
             "policies.guide.adapter does nothing while the policy's engine is openai");
    refused (REMOTE, "policies.guide.lr=1", "policies.guide.lr does nothing while the policy's");
    refused (REMOTE, "policies.writers.url=http://h/v1",
             "policies.writers.url does nothing while the policy's engine is own: leave it out, or "
             "set engine to openai");
    refused (REMOTE,
             "policies.guide.url=", "--set policies.guide.url=: policies.guide.url is miss");
    refused (REMOTE, "policies.guide.model=a b", "'a b': neither a blank nor a ';' may be in it");
    refused (REMOTE, "policies.guide.key_env=A;B", "policies.guide.key_env 'A;B': neither");
    refused (REMOTE, "policies.guide.engine=vllm", "'vllm' is none of own|openai");
    refused (REMOTE, "policies.guide.concurrency=0", "0 is not between 1 and 4096");
    refused (REMOTE, "model.path=x", "model.path does nothing: each of the policies has its own");
    refused (REMOTE, "policies.writers.train=false", "policies.writers.train is false, as of all");
    refused ("policies:\n  a: {engine: openai, url: u, model: m}\n"
             "  main: {path: p}\n  b:\n    engine: openai\n    url: u\n    model: m\n"
             "team: {roles: {aux: {policy: a}, main: , helper: {policy: b}}}\n" TASK,
             NULL, "x.yml:7: policies.b.model is that of policy a at the same url");
    refused ("policies:\n  guide: {engine: openai, url: u, model: m}\n  main: {path: p}\n"
             "team:\n  protocol: discussion\n  roles:\n    aux:\n      policy: guide\n"
             "      memory: own\n    main:\n" TASK,
             NULL,
             "x.yml:9: team.roles.aux.memory is own, and the server that policy guide names gives "
             "no token ids");
}

/*  What the single agent of a comparison is started with. */
static void the_table_can_be_left_out (void **state)
{
    (void) state;
    const char *const sets[] = {"team.roles=main", "policies=", "model.path=m"};
    err_t err = {0};
    conf_t *conf = conf_parse (NAMED, strlen (NAMED), "x.yml", sets, 3, &err);
    /* The role's own word still names what is gone. */
    assert_null (conf);
    assert_non_null (strstr (err.text, "x.yml:9: team.roles.main.policy: 'writers' is no policy"));
    const char *const alone[] = {"team.roles=solo", "policies=", "model.path=m"};
    conf = conf_parse (NAMED, strlen (NAMED), "x.yml", alone, 3, &err);
    assert_non_null (conf);
    assert_int_equal (conf->policies_n, 1);
    assert_string_equal (conf->policies[0].path, "m");
    conf_destroy (&conf);
}

static void what_is_printed_reads_back (void **state)
{
    (void) state;
    const char *const texts[] = {GOOD, NAMED, REMOTE};
    for (size_t i = 0; i < 3; i++)
        for (int help = 0; help < 2; help++) {
            buf_t first = {0}, second = {0}, essence = {0}, again = {0};
            conf_t *conf = taken (texts[i], NULL);
            conf_print (conf, help, &first);
            conf_essence (conf, &essence);
            conf_destroy (&conf);
            conf = taken (first.data, NULL);
            conf_print (conf, help, &second);
            conf_essence (conf, &again);
            assert_string_equal (first.data, second.data);
            assert_string_equal (essence.data, again.data);
            assert_true (!strstr (essence.data, "policies:\n") == (i == 0));
            if (help)
                assert_non_null (strstr (first.data, i == 2 ? "#   guide: {engine: \"openai\""
                                                     : i    ? "#   judge: {path: \"j\", compute: "
                                                            : "#   shared: {path: \"m\""));
            conf_destroy (&conf);
            buf_free (&first);
            buf_free (&second);
            buf_free (&essence);
            buf_free (&again);
        }
}

/*  Where a server is may change while a run is interrupted; its model may not. */
static void a_server_that_moved_is_the_same_run (void **state)
{
    (void) state;
    static const char *const sets[] = {NULL, "policies.guide.url=http://other/v1",
                                       "policies.guide.key_env=KEY", "policies.guide.concurrency=2",
                                       "policies.guide.model=n"};
    buf_t first = {0}, essence = {0};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        buf_t *to = i ? &essence : &first;
        conf_t *conf = taken (REMOTE, sets[i]);
        buf_clear (to);
        conf_essence (conf, to);
        assert_int_equal (strcmp (first.data, to->data) == 0, i < 4);
        conf_destroy (&conf);
    }
    buf_free (&first);
    buf_free (&essence);
}

static void another_table_is_another_run (void **state)
{
    (void) state;
    buf_t list = {0};
    conf_t *a = taken (NAMED, NULL), *b = taken (NAMED, "policies.writers.lr=1e-4");
    conf_differences (b, a, &list);
    assert_non_null (strstr (list.data, "policies="));
    assert_non_null (strstr (list.data, "lr: 0.0001"));
    buf_clear (&list);
    conf_differences (a, a, &list);
    assert_int_equal (list.size, 0);
    buf_free (&list);
    conf_destroy (&a);
    conf_destroy (&b);
}

/*  From the file's own folder where they are not there from here. */
static void paths_are_relative_to_the_file (void **state)
{
    (void) state;
    char dir[] = "/tmp/quintet-test-policies-XXXXXX", path[FS_PATH_MAX], model[FS_PATH_MAX];
    err_t err = {0};
    assert_non_null (mkdtemp (dir));
    assert_int_equal (fs_join (model, dir, "j", &err), 0);
    assert_int_equal (mkdir (model, 0700), 0);
    assert_int_equal (fs_join (path, dir, "x.yml", &err), 0);
    assert_int_equal (fs_write (path, NAMED, strlen (NAMED), &err), 0);
    conf_t *conf = conf_load (path, NULL, 0, &err);
    assert_non_null (conf);
    assert_string_equal (conf_policy (conf, 0)->path, model);
    assert_string_equal (conf_policy (conf, 1)->path, "w"); /* which is nowhere */
    conf_destroy (&conf);
    fs_remove (dir, NULL);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (the_short_form_is_a_table),
        cmocka_unit_test (a_row_says_what_differs),
        cmocka_unit_test (a_server_plays_by_a_policy),
        cmocka_unit_test (what_a_server_cannot_do_is_named),
        cmocka_unit_test (what_is_wrong_is_named),
        cmocka_unit_test (the_table_can_be_left_out),
        cmocka_unit_test (what_is_printed_reads_back),
        cmocka_unit_test (a_server_that_moved_is_the_same_run),
        cmocka_unit_test (another_table_is_another_run),
        cmocka_unit_test (paths_are_relative_to_the_file),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
