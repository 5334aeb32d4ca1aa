/*  Configurations: what is wrong is named with file, line and key. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "conf/conf.h"

#define GOOD "model:\n  path: m\nteam:\n  roles: [aux, main]\ntask:\n  family: coding\n"
/*  One whose episodes a program plays; "planner" is no author elsewhere. */
#define OWN                                                                                        \
    "model:\n  path: m\nteam:\n  roles: [planner, boss]\ntask:\n  program: python3 my_env.py\n"

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

/*  Nobody has to name the family of a program, and seats of any name speak. */
static void a_program_needs_no_family (void **state)
{
    (void) state;
    err_t err = {0};
    conf_t *conf = parse (OWN, "team.roles.boss.prompt={ask} Go.", &err);
    if (!conf)
        fail_msg ("%s", err.text);
    assert_string_equal (conf->task.family, "external");
    assert_string_equal (conf->protocol, "");
    assert_false (conf_reproducible (conf));
    buf_t printed = {0};
    conf_print (conf, false, &printed);
    conf_t *again = conf_parse (printed.data, printed.size, "printed", NULL, 0, &err);
    if (!again)
        fail_msg ("%s", err.text);
    conf_destroy (&again);
    buf_free (&printed);
    conf_destroy (&conf);
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
    refused (GOOD "trainer:\n  steps: 1\n  steps: 2\n", NULL,
             "x.yml:9: trainer.steps: given twice");
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
    refused (GOOD, "trainer.rl=1", "did you mean trainer.lr?");
    refused (GOOD, "trainer.learning_rate=1", "did you mean trainer.lr?");
    refused (GOOD, "trainer.max_tokens=1", "did you mean task.max_tokens?");
    refused (GOOD, "trainer.qwertyuiop=1", "no such key (--print-config lists all)");
    refused (GOOD, "trainer=3", "section.key=value is wanted");
    refused (GOOD "trainer:\n\tsteps: 3\n", NULL, "x.yml:8: a tab");
    refused (GOOD "---\ntrainer:\n  steps: 3\n", NULL, "x.yml:7: a second document");
    refused (GOOD, "team.roles=[aux, main", "no list such as [aux, main]");
    refused (GOOD, "team.roles=aux]", "no list such as [aux, main]");
    refused (GOOD, "team.roles=[aux, 'main']", "no list such as [aux, main]");
    refused (GOOD, "evaluation.stop=[\"a]", "the closing \" is missing");
    refused (GOOD, "evaluation.stop=\"a\\", "the closing \" is missing");
    refused (GOOD, "evaluation.stop=a]b", "an item without a text");
    refused (GOOD, "evaluation.stop=[\"\"]", "an item without a text");
    refused (GOOD, "evaluation.top_p=0", "evaluation.top_p: 0 is not between 1e-06 and 1");
    refused (GOOD, "evaluation.top_k=-1", "evaluation.top_k: -1 is not between 0 and");
    refused (GOOD, "evaluation.min_p=1.5", "evaluation.min_p: 1.5 is not between 0 and 1");
    refused (GOOD "evaluation:\n  temperature: 0\n  top_p: 0.9\n", NULL,
             "x.yml:9: evaluation.top_p does nothing while evaluation.temperature is 0");
    refused (GOOD "evaluation:\n  temperature: 0\n  samples: 4\n", NULL,
             "x.yml:9: evaluation.samples does nothing while evaluation.temperature is 0");
    refused ("model:\n  path: m\nteam:\n  roles: [a]\n", NULL, "task.family");
    refused ("model:\n  path: m\ntask:\n  family: coding\n", NULL, "team.roles");
    refused (GOOD, "task.program=x", "whose episodes no program plays");
    refused (GOOD, "task.program_s=3", "task.program_s does nothing without task.program");
    refused (OWN, "task.program=", "task.family is missing");
    refused (OWN "  seeds: 9\n", "task.path=x", "task.seeds does nothing beside task.path");
    refused (OWN, "team.protocol=repair", "which says who acts when");
    refused (OWN, "team.roles.boss.prompt=go", "has no {ask}");
    refused (OWN, "loss.credit=removal", "never played");
    refused ("model:\n  path: m\ntask:\n  program: x\n", NULL,
             "team.roles is missing: name seats of the external family, as task.program");
    err_t err = {0};
    assert_null (conf_load ("/nowhere/x.yml", NULL, 0, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "/nowhere/x.yml"));
}

static void keys_that_do_not_go_together_are_named_with_their_line (void **state)
{
    (void) state;
    refused (GOOD "trainer:\n  group_size: 1\n", NULL, "x.yml:8: trainer.group_size 1 leaves");
    refused (GOOD "critic:\n  replay: 32\n", NULL, "x.yml:8: critic.replay does nothing while");
    refused (GOOD "loss:\n  correction_cap: 3\n", NULL,
             "x.yml:8: loss.correction_cap does nothing");
    refused (GOOD "loss:\n  kl_ratio: true\n", NULL, "x.yml:8: loss.kl_ratio does nothing");
    refused (GOOD "trainer:\n  schedule: constant\n  lr_end: 0.5\n", NULL,
             "x.yml:9: trainer.lr_end does nothing while trainer.schedule is constant");
    refused (GOOD "  style: story\n", NULL,
             "x.yml:7: task.style does nothing in the coding family");
    refused ("model:\n  path: m\nteam:\n  roles: [solo]\ntask:\n  family: writing\n  style: chat\n",
             NULL,
             "x.yml:7: task.style 'chat' is no built-in set of the writing family: plain, story");
    refused ("model:\n  path: m\nteam:\n  roles: [poet]\ntask:\n  family: writing\n", NULL,
             "x.yml:4: team.roles names 'poet', and the writing family has no such seat: summary");
    refused (GOOD, "task.family=poems",
             "'poems' is none of article|coding|external|module|writing");
    refused (GOOD "reward:\n  scale: batch\n", NULL, "x.yml:8: reward.scale does nothing while");
    refused (GOOD "reward:\n  local: 1\n", NULL, "x.yml:8: reward.local does nothing while");
    refused (GOOD "loss:\n  credit: role\nreward:\n  team: 0\n", NULL,
             "x.yml:10: reward.team 0, as reward.local");
    refused (GOOD "  max_turns: 2\nloss:\n  credit: cross\n", NULL,
             "x.yml:9: loss.credit cross wants one turn");
    refused (GOOD, "model.date=2026-11-09", "model.date does nothing while model.chat is not auto");
    refused ("model:\n  path: m\n  chat: auto\n  date: 2026-02-30\nteam:\n  roles: [solo]\ntask:\n"
             "  family: coding\n",
             NULL, "x.yml:4: model.date '2026-02-30' is no day: YYYY-MM-DD");
    refused (GOOD "trainer:\n  group_size: 200\nloss:\n  credit: cross\n", NULL,
             "x.yml:8: trainer.group_size 200 squared");
    refused (GOOD "loss:\n  credit: joint+luck\n", NULL,
             "x.yml:8: loss.credit 'luck' is no credit: joint, role, role_turn");
    refused (GOOD "loss:\n  credit: critic\ncritic:\n  trust: 0.04\n", NULL,
             "x.yml: critic.distrust 0.05 is more than critic.trust 0.04");
    refused (GOOD "reward:\n  quality: 0\n  speed: 0\n  cost: 0\n", NULL,
             "x.yml:8: reward.quality 0");
    refused (GOOD "  cpu_s: 30\n", NULL,
             "task.cpu_total_s 20 for all tests is less than task.cpu_s 30");
    refused (GOOD "  cpu_s: 0\n", NULL, "x.yml:7: task.cpu_s");
    refused ("model:\n  path: m\nteam:\n  roles: [solo]\ntask:\n  family: writing\n  cpu_s: 3\n",
             NULL, "x.yml:7: task.cpu_s does nothing where no programs are run");
    refused (GOOD "reward:\n  command: x\n  python_modules: [numpy]\n", NULL,
             "x.yml:9: reward.python_modules does nothing where no programs are run");
    refused (GOOD "loss:\n  delta: 1.2\n", NULL, "x.yml:8: loss.delta 1.2 cuts below");
    refused (GOOD "trainer:\n  beta1: 1\n", NULL, "x.yml:8: trainer.beta1");
    refused (GOOD "trainer:\n  beta2: 1.0\n", NULL, "x.yml:8: trainer.beta2");
    refused (GOOD "trainer:\n  lr: 0.1\n  eps: 0\n", NULL, "x.yml:9: trainer.eps");
    refused (GOOD "model:\n", "loss.delta=1.1", "x.yml:7: model: given twice");
    refused (GOOD, "loss.delta=1.1", "--set loss.delta=1.1: loss.delta 1.1 cuts");
    /* What has its default does no harm where it does nothing. */
    err_t err = {0};
    conf_t *conf = parse (GOOD "trainer:\n  schedule: constant\n  lr_end: 0.1\n",
                          "loss.correction_cap=2", &err);
    if (!conf)
        fail_msg ("%s", err.text);
    assert_true (conf_given (conf, "trainer.lr_end") && conf_given (conf, "loss.correction_cap"));
    assert_false (conf_given (conf, "trainer.lr"));
    conf_destroy (&conf);
}

static void a_scorer_of_ones_own_is_told_the_limits_of_cpu_time (void **state)
{
    (void) state;
    err_t err = {0};
    conf_t *conf = parse (GOOD "  cpu_s: 0.5\n  cpu_total_s: 1\n", "reward.command=mine", &err);
    if (!conf)
        fail_msg ("%s", err.text);
    conf_destroy (&conf);
}

/*  Items with blanks stand in quotes, in YAML as after --set, and come back from what is
 *  printed. */
static void lists_hold_any_text (void **state)
{
    (void) state;
    static const char *const ways[][2] = {
        {GOOD "evaluation:\n  stop: [\"\\n\\n\", 'a \"b\", c', Q]\n", NULL},
        {GOOD, "evaluation.stop=[\"\\n\\x0a\", \"a \\\"b\\\", c\", Q]"},
        {GOOD, "evaluation.stop=\"\\n\n\" \"a \\\"b\\\", c\" Q"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        err_t err = {0};
        conf_t *conf = parse (ways[i][0], ways[i][1], &err);
        for (int again = 0; again < 2; again++) {
            if (!conf)
                fail_msg ("%s", err.text);
            assert_int_equal (conf->evaluation.stop.n, 3);
            assert_string_equal (conf->evaluation.stop.item[0], "\n\n");
            assert_string_equal (conf->evaluation.stop.item[1], "a \"b\", c");
            assert_string_equal (conf->evaluation.stop.item[2], "Q");
            buf_t printed = {0};
            conf_print (conf, false, &printed);
            conf_destroy (&conf);
            conf = parse (printed.data, NULL, &err);
            buf_free (&printed);
        }
        conf_destroy (&conf);
    }
}

static void lists_are_words_with_or_without_brackets (void **state)
{
    (void) state;
    static const char *const ways[] = {"team.roles=[aux, main]", "team.roles=aux,main",
                                       "team.roles= [ aux main ] ", "team.roles=aux main"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        err_t err = {0};
        conf_t *conf = parse (GOOD, ways[i], &err);
        if (!conf)
            fail_msg ("%s", err.text);
        assert_int_equal (conf->team.roles.n, 2);
        assert_string_equal (conf->team.roles.item[0], "aux");
        assert_string_equal (conf->team.roles.item[1], "main");
        conf_destroy (&conf);
    }
}

static void what_a_resumed_run_may_not_change_is_named (void **state)
{
    (void) state;
    char path[] = "/tmp/quintet-conf-XXXXXX";
    int fd = mkstemp (path);
    err_t err = {0};
    buf_t text = {0};
    conf_t *first = parse (GOOD, "trainer.steps=20", &err);
    assert_true (fd >= 0 && first);
    conf_print (first, false, &text);
    assert_int_equal (write (fd, text.data, text.size), (ssize_t) text.size);
    close (fd);
    conf_t *longer = parse (GOOD, "trainer.steps=23", &err);
    conf_t *other = parse (GOOD "trainer:\n  lr: 0.5\n", "loss.type=grpo", &err);
    assert_true (longer && other);
    assert_int_equal (conf_compare (longer, path, &err), 0);
    assert_int_equal (conf_compare (other, path, &err), -1);
    assert_non_null (strstr (err.text, "trainer.lr: 0.001 (and not 0.5), "
                                       "loss.type: \"dapo\" (and not \"grpo\"): --resume with"));
    buf_clear (&text);
    conf_differences (first, first, &text);
    assert_int_equal (text.size, 0);
    conf_differences (other, first, &text);
    assert_string_equal (text.data, "trainer.steps=100 trainer.lr=0.5 loss.type=\"grpo\"");
    unlink (path);
    buf_free (&text);
    conf_destroy (&first);
    conf_destroy (&longer);
    conf_destroy (&other);
}

#define TOLD                                                                                       \
    "model:\n  path: m\ntask:\n  family: coding\nteam:\n  roles:\n    aux:\n    main:\n"           \
    "      prompt: \"{ask}\\nWrite {\\\"a\\\": 1} for {brief}.\"\n"

/*  Roles are a list, or a map with what each is told. */
static void roles_have_words_of_their_own (void **state)
{
    (void) state;
    static const char words[] = "{ask}\nWrite {\"a\": 1} for {brief}.";
    err_t err = {0};
    buf_t first = {0}, again = {0};
    conf_t *conf = parse (TOLD, NULL, &err);
    if (!conf)
        fail_msg ("%s", err.text);
    assert_int_equal (conf->team.roles.n, 2);
    assert_string_equal (conf_words (conf, "aux", CONF_PROMPT), "");
    assert_string_equal (conf_words (conf, "main", CONF_PROMPT), words);
    conf_print (conf, false, &first);
    conf_t *back = parse (first.data, NULL, &err);
    if (!back)
        fail_msg ("%s", err.text);
    assert_string_equal (conf_words (back, "main", CONF_PROMPT), words);
    conf_print (back, false, &again);
    assert_string_equal (first.data, again.data);
    conf_destroy (&back);
    conf_destroy (&conf);
    buf_clear (&first);
    buf_clear (&again);
    /* From the command line, of a list too; the single agent's stands beside the team's. */
    conf = parse (GOOD, "team.roles.solo.prompt={role}", &err);
    if (!conf)
        fail_msg ("%s", err.text);
    assert_string_equal (conf_words (conf, "solo", CONF_PROMPT), "{role}");
    back = parse (GOOD, NULL, &err);
    conf_essence (conf, &first);
    conf_essence (back, &again);
    assert_string_equal (first.data, again.data);
    conf_destroy (&back);
    conf_destroy (&conf);
    back = parse (TOLD, NULL, &err);
    buf_clear (&first);
    conf_essence (back, &first);
    assert_string_not_equal (first.data, again.data); /* weights follow from it */
    conf_destroy (&back);
    buf_free (&first);
    buf_free (&again);
    refused (TOLD "      prompt: x\n", NULL, "x.yml:10: team.roles.main.prompt: given twice");
    refused (TOLD "      promt: x\n", NULL, "x.yml:10: team.roles.main.promt: no such key");
    refused (TOLD "      system: [x]\n", NULL, "x.yml:10: main: a key and a text are wanted");
    refused (TOLD "    solo: x\n", NULL, "x.yml:10: solo: below a role stand lines of");
    refused (TOLD "    [x]: y\n", NULL, "x.yml:10: team.roles: names of roles are wanted");
    refused (TOLD "    main:\n", NULL, "names 'main' twice");
    refused (TOLD, "team.roles.main.prompt={brif}",
             "--set team.roles.main.prompt={brif}: team.roles.main.prompt has {brif}");
    refused (TOLD, "team.roles.mian.prompt=x", "team.roles.mian: there is no such role");
    refused (TOLD "      system: x\n", NULL,
             "x.yml:10: team.roles.main.system needs model.chat auto");
    refused (TOLD, "team.roles.main=x", "team.roles.ROLE.prompt=TEXT is wanted");
}

/*  At which temperature a seat draws and where it ends: its own words come before those of all. */
static void roles_draw_and_end_in_their_own_way (void **state)
{
    (void) state;
    static const char own[] = "model: {path: m}\ntask: {family: coding}\n"
                              "trainer: {temperature: 0.8}\nevaluation: {stop: [END]}\n"
                              "team:\n  roles:\n    aux: {temperature: 1.25}\n"
                              "    main:\n      stop: [\"\\n\\n\", \"a \\\"b\\\", c\"]\n";
    err_t err = {0};
    buf_t first = {0}, again = {0};
    conf_t *conf = parse (own, NULL, &err);
    for (int round = 0; round < 2; round++) { /* as it is written, and as it is printed */
        if (!conf)
            fail_msg ("%s", err.text);
        assert_true (conf_temperature (conf, "aux", 0.8) >= 1.25);
        assert_true (conf_temperature (conf, "main", 0.8) <= 0.8);
        const conf_list_t *stop = conf_stop (conf, "main", &conf->evaluation.stop);
        assert_int_equal (stop->n, 2);
        assert_string_equal (stop->item[0], "\n\n");
        assert_string_equal (stop->item[1], "a \"b\", c");
        assert_ptr_equal (conf_stop (conf, "aux", &conf->evaluation.stop), &conf->evaluation.stop);
        assert_null (conf_stop (conf, "aux", NULL));
        conf_print (conf, false, round ? &again : &first);
        conf_destroy (&conf);
        conf = parse (first.data, NULL, &err);
    }
    assert_string_equal (first.data, again.data);
    conf_destroy (&conf);
    buf_free (&first);
    buf_free (&again);
    static const char *const talk[] = {"team.roles.main.memory=own", "team.protocol=discussion"};
    conf = conf_parse (own, strlen (own), "x.yml", talk, 2, &err);
    assert_true (conf_remembers (conf, "main") && !conf_remembers (conf, "aux"));
    assert_int_equal (conf_turns (conf, "main"), 2);
    conf_destroy (&conf);
    refused (own, "team.roles.main.memory=own",
             "team.roles.main.memory: own does nothing: it speaks in one turn of team.protocol");
    conf = parse (own, "team.roles.main.stop=END", &err);
    assert_string_equal (conf_stop (conf, "main", NULL)->item[0], "END");
    conf_destroy (&conf);
    refused (own, "team.roles.aux.temperature=0", "team.roles.aux.temperature is '0': a number");
    refused (own, "team.roles.aux.temperature= 1", "team.roles.aux.temperature is ' 1'");
    refused (own, "team.roles.aux.temperature=warm", "team.roles.aux.temperature is 'warm'");
    refused (own, "team.roles.aux.memory=all", "team.roles.aux.memory is 'all': none or own");
    refused (own, "team.roles.main.stop=[]", "team.roles.main.stop is empty: leave it out");
    refused (own, "team.roles.main.stop=[\"\"]", "team.roles.main.stop: '[\"\"]' has an item");
    refused (own, "team.roles.main.temperature=1",
             "x.yml:3: trainer.temperature does nothing: each role has its own temperature");
    refused (own, "team.roles.aux.stop=X",
             "x.yml:4: evaluation.stop does nothing: each role has its own stop");
}

#define TEAM                                                                                       \
    "model:\n  path: m\ntask:\n  family: coding\nteam:\n  roles:\n    aux:\n    main:\n"           \
    "      sees: [brief, tests, aux]\n"
#define TESTED TEAM "    tester:\n"

/*  Who acts when is named, or told turn by turn; --print-config shows it so that it reads back. */
static void a_team_has_a_protocol (void **state)
{
    (void) state;
    err_t err = {0};
    conf_t *conf = parse (TESTED "  protocol: repair\n", "task.max_turns=2", &err);
    assert_string_equal (conf_words (conf, "main", CONF_SEES), "brief tests aux");
    assert_string_equal (conf->protocol,
                         "[{\"does\":{\"aux\":[\"draft\"],\"main\":[\"draft\"]}},"
                         "{\"does\":{\"tester\":[\"test\"]},\"until\":\"passed\"}]");
    conf_destroy (&conf);
    conf = parse (TESTED "  turns:\n    - {aux: draft, main: [draft, \"draft aux\"], repeat: 2}\n"
                         "    - tester: test\n      until: passed\n",
                  NULL, &err);
    assert_string_equal (conf->protocol,
                         "[{\"does\":{\"aux\":[\"draft\"],\"main\":[\"draft\",\"draft aux\"]}},"
                         "{\"does\":{\"aux\":[\"draft\"],\"main\":[\"draft\",\"draft aux\"]}},"
                         "{\"does\":{\"tester\":[\"test\"]},\"until\":\"passed\"}]");
    buf_t printed = {0};
    conf_print (conf, true, &printed);
    conf_t *back = parse (printed.data, NULL, &err);
    assert_string_equal (back->protocol, conf->protocol);
    assert_string_equal (conf_words (back, "main", CONF_SEES), "brief tests aux");
    buf_free (&printed);
    conf_destroy (&back);
    conf_destroy (&conf);
    conf = parse (TEAM, "team.roles.main.max_tokens=20", &err);
    assert_int_equal (conf_max_tokens (conf, "main"), 20);
    assert_int_equal (conf_max_tokens (conf, "aux"), 64);
    conf_destroy (&conf);
    conf = parse (TEAM, "team.turns=[{\"main\": \"draft\", \"aux\": \"draft\"}]", &err);
    assert_string_equal (conf->protocol, "[{\"does\":{\"main\":[\"draft\"],\"aux\":[\"draft\"]}}]");
    conf_destroy (&conf);
    conf = parse (TEAM, NULL, &err);
    assert_string_equal (conf->protocol, "");
    conf_episode_t under;
    static const char *const solo[] = {"solo"};
    conf_destroy (&conf);
    conf = parse (TESTED "  protocol: repair\n", NULL, &err);
    conf_episode (conf, (const char *const *) conf->team.roles.item, 3, &under);
    assert_string_equal (under.limits.protocol, conf->protocol);
    assert_string_equal (under.sees[1], "brief tests aux");
    conf_episode (conf, solo, 1, &under);
    assert_string_equal (under.limits.protocol, "");
    conf_destroy (&conf);
}

static void a_protocol_that_cannot_be_played_is_refused (void **state)
{
    (void) state;
    refused (TESTED "  protocol: repiar\n", NULL, "x.yml:11: team.protocol");
    refused (TESTED "  protocol: plan\n", NULL,
             "x.yml:11: team.protocol: plan needs a role named planner");
    refused (TESTED "  protocol: pipeline\n", "task.max_turns=3",
             "--set task.max_turns=3: task.max_turns does nothing with a protocol");
    refused (TESTED "  protocol: plan\n  turns: [{aux: draft}]\n", NULL,
             "x.yml:11: team.protocol does nothing with turns of your own");
    refused (TESTED "  turns:\n    - {aux: draft}\n    - {auks: draft}\n", NULL,
             "x.yml:11: team.turns: turn 2: the team has no role 'auks'");
    refused (TESTED "  turns:\n    - {aux: write}\n", NULL, "turn 1, aux: 'write' is none of plan");
    refused (TESTED "  turns:\n    - {aux: draft, aux: note}\n", NULL,
             "x.yml:12: team.turns: a name stands twice");
    refused (TESTED "  turns: [[[[[[[[[[x]]]]]]]]]]\n", NULL, "x.yml:11: team.turns: lists, names");
    refused (TESTED "  turns: x\n", NULL, "x.yml:11: team.turns: a list of turns is wanted");
    refused (TESTED "  turns: [{tester: draft}]\n", NULL,
             "team.roles names 'tester', and the coding family has no such seat: aux");
    refused (
        TESTED "  turns: [{aux: draft, main: draft}, {tester: note}]\n", NULL,
        "'tester', of whom the coding family asks nothing: say it in team.roles.tester.prompt");
    refused (TESTED, NULL, "team.roles names 'tester', who does nothing in team.protocol");
    refused (TESTED "  turns: [{aux: draft, main: draft, tester: lint, until: passed}]\n", NULL,
             "x.yml:11: team.turns: turn 1, until: passed never holds, since nobody tests in it");
    refused (TESTED "  turns: [{aux: draft, main: draft, tester: test, until: accepted}]\n", NULL,
             "turn 1, until: accepted never holds, since nobody reviews or integrates in it");
    refused (TESTED "  turns: [{aux: [draft, note, draft]}]\n", NULL,
             "turn 1, aux: 'draft' stands there twice");
    refused (TESTED "  turns: [{main: draft foo, aux: draft, tester: test}]\n", NULL,
             "x.yml:11: team.turns names 'foo', and the coding family has no such seat: aux");
    refused (TESTED "  protocol: repair\n", "team.roles.aux.prompt={tester}",
             "team.roles.aux.prompt shows 'tester', who writes no text of its own");
    refused (TESTED "  protocol: repair\n", "team.roles.aux.sees=",
             "--set team.roles.aux.sees=: team.roles.aux.sees is empty: name parts, or brief");
    refused (TEAM "    brief:\n", NULL, "team.roles names 'brief', which has a meaning of its own");
    refused (TEAM "    until:\n", NULL, "team.roles names 'until', which has a meaning of its own");
    refused (TESTED "  protocol: repair\n", "loss.credit=cross",
             "--set loss.credit=cross: loss.credit cross wants team.protocol parallel");
    refused (
        TEAM, "team.roles.main.max_tokens=65",
        "max_tokens=65: team.roles.main.max_tokens is '65': a number from 1 to task.max_tokens, "
        "64");
    refused (TEAM, "team.roles.main.max_tokens=6x", "team.roles.main.max_tokens is '6x': a number");
    refused (TEAM, "team.roles.main.sees=brief main tsets",
             "team.roles.main.sees has tsets; what is known there: brief, ask,");
    refused ("model:\n  path: m\ntask:\n  family: writing\nteam:\n  roles: [summary, details]\n"
             "  protocol: repair\n",
             NULL, "x.yml:7: team.protocol uses test, which the writing family does not have");
    /* A module is written by three seats, or by one. */
    static const char *const teams[] = {"f, g", "f, g, h, solo", "g"};
    for (size_t i = 0; i < sizeof teams / sizeof *teams; i++) {
        char text[160];
        snprintf (text, sizeof text,
                  "model:\n  path: m\ntask:\n  family: module\nteam:\n  roles: [%s]\n", teams[i]);
        refused (
            text, NULL,
            "x.yml:6: team.roles lacks some or has others beside them: of a team of the module");
    }
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
    assert_non_null (strstr (plain.data, "command_s: 20\n")); /* and not 2e+01 */
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

/*  From wherever it is used, a file means what lies beside it; the command line, where one
 *  stands. */
static void paths_are_relative_to_who_gives_them (void **state)
{
    (void) state;
    static const char text[] =
        "model:\n  path: m\nteam:\n  roles: [aux, main]\ntask:\n  family: coding\n  path: t\n";
    static const char *const folders[] = {"m", "conf", "conf/m"};
    const char *set = "model.path=m";
    char dir[] = "/tmp/quintet-test-XXXXXX", before[4096], file[64];
    err_t err = {0};
    assert_non_null (getcwd (before, sizeof before));
    assert_non_null (mkdtemp (dir));
    assert_int_equal (chdir (dir), 0);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal (mkdir (folders[i], 0700), 0);
    snprintf (file, sizeof file, "%s/conf/x.yml", dir);
    assert_int_equal (fs_write (file, text, sizeof text - 1, &err), 0);
    conf_t *own = conf_load ("conf/x.yml", NULL, 0, &err);
    conf_t *given = conf_load ("conf/x.yml", &set, 1, &err);
    assert_true (own && given);
    assert_string_equal (own->model.path, "conf/m");
    assert_string_equal (own->task.path, "t"); /* nothing is there: as it was given */
    assert_string_equal (given->model.path, "m");
    conf_destroy (&own);
    conf_destroy (&given);
    assert_int_equal (chdir (before), 0);
    assert_int_equal (fs_remove (dir, &err), 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (values_are_read),
        cmocka_unit_test (a_program_needs_no_family),
        cmocka_unit_test (what_is_wrong_is_named),
        cmocka_unit_test (keys_that_do_not_go_together_are_named_with_their_line),
        cmocka_unit_test (a_scorer_of_ones_own_is_told_the_limits_of_cpu_time),
        cmocka_unit_test (lists_are_words_with_or_without_brackets),
        cmocka_unit_test (lists_hold_any_text),
        cmocka_unit_test (what_a_resumed_run_may_not_change_is_named),
        cmocka_unit_test (roles_have_words_of_their_own),
        cmocka_unit_test (roles_draw_and_end_in_their_own_way),
        cmocka_unit_test (a_team_has_a_protocol),
        cmocka_unit_test (a_protocol_that_cannot_be_played_is_refused),
        cmocka_unit_test (what_is_printed_reads_back),
        cmocka_unit_test (what_is_not_reproducible_is_said),
        cmocka_unit_test (paths_are_relative_to_who_gives_them),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}
