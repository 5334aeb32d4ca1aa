/*  quintet keys - who is let in to a bus: makes, lists and revokes certificates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/authority.h"
#include "bus/rights.h"
#include "cli.h"
#include "store/accounts.h"

static const args_option_t keys_options[] = {{"--json", NULL, NULL, "list: one object per line"},
                                             {0}};

static const args_spec_t keys_spec = {
    .program = "quintet keys",
    .about =
        "Makes the certificates by which a bus tells who is who, and what each may do: by its\n"
        "kind (agent, environment, reward, critic, trainer, operator, tap, monitor). Every holder\n"
        "has a folder of its own, which is all that its host needs; keys/bus is the bus's. Those\n"
        "who use Redis have a user there too: keys/redis is what it is started with.\n\n"
        "  quintet keys init keys                 the bus's own, and the list of who is let in\n"
        "  quintet keys add keys agent            keys/agent, for any number of agents\n"
        "  quintet keys make keys agent tap ...   both, of what is not there yet\n"
        "  quintet keys add keys tap ada          keys/ada: may watch, and nothing else\n"
        "  quintet keys list keys\n"
        "  quintet keys kinds                     what each kind may do\n"
        "  quintet keys revoke keys ada           within a second, and cut off\n"
        "  quintet keys rotate keys [NAME]        new keys, of all when no name is given\n\n"
        "  quintet-bus --bus 'tcp://*:5550' --keys keys/bus\n"
        "  redis-server --aclfile keys/redis/users.acl\n"
        "  quintet-agent --bus tcp://HOST:5550 --keys keys/agent\n"
        "  quintet tap --bus tcp://HOST:5550 --keys keys/ada\n",
    .positional = "COMMAND...",
    .options = keys_options};

static void cmd_keys_on_bad (const char *path, const char *why)
{
    fprintf (stderr, "quintet keys: %s: %s; it is not let in\n", path, why);
}

static int cmd_keys_list (const char *dir, bool json, err_t *err)
{
    char bus[FS_PATH_MAX];
    size_t n = 0;
    authority_peer_t *peers = fs_join (bus, dir, KEYS_BUS, err) == 0
                                  ? authority_list (bus, &n, cmd_keys_on_bad, err)
                                  : NULL;
    if (!peers)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (json)
            cli_print_json (json_pack ("{s:s, s:s, s:s}", "name", peers[i].name, "kind",
                                       peers[i].kind, "key", peers[i].key),
                            0);
        else
            printf ("%-20s %-12s %s\n", peers[i].name, peers[i].kind, peers[i].key);
    free (peers);
    return 0;
}

static int cmd_keys_add (const char *dir, const char *kind, const char *name, err_t *err)
{
    name = *name ? name : kind;
    if (strcmp (name, ACCOUNTS_SERVER) == 0)
        return err_set (err, ERR_CONFIG, "'%s': %s/%s is what Redis is started with", name, dir,
                        name);
    return authority_add (dir, kind, name, err) == 0 ? accounts_add (dir, kind, name, err) : -1;
}

/*  Of what stands in kinds what is not there yet, the bus's own first: it may be typed again. */
static int cmd_keys_make (const char *dir, const char *const *kinds, size_t n, err_t *err)
{
    char bus[FS_PATH_MAX];
    size_t there = 0;
    if (!authority_exists (dir) && authority_init (dir, err) != 0)
        return -1;
    authority_peer_t *peers = fs_join (bus, dir, KEYS_BUS, err) == 0
                                  ? authority_list (bus, &there, cmd_keys_on_bad, err)
                                  : NULL;
    int rc = peers ? 0 : -1;
    for (size_t k = 0; rc == 0 && k < n; k++) {
        size_t i = 0;
        while (i < there && strcmp (peers[i].name, kinds[k]) != 0)
            i++;
        if (i == there)
            rc = cmd_keys_add (dir, kinds[k], "", err);
    }
    free (peers);
    return rc;
}

static int cmd_keys_revoke (const char *dir, const char *name, err_t *err)
{
    return authority_revoke (dir, name, err) == 0 ? accounts_remove (dir, name, err) : -1;
}

/*  Accounts follow the certificates: of one holder, or with "" of all. */
static int cmd_keys_rotate_accounts (const char *dir, const char *name, err_t *err)
{
    char bus[FS_PATH_MAX];
    size_t n = 0;
    if (fs_join (bus, dir, KEYS_BUS, err) != 0)
        return -1;
    authority_peer_t *peers = authority_list (bus, &n, NULL, err);
    int rc = peers ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (!*name || strcmp (peers[i].name, name) == 0)
            rc = accounts_add (dir, peers[i].kind, peers[i].name, err);
    free (peers);
    return rc;
}

/*  What is left to do is said, since nothing works until it is done. */
static int cmd_keys_rotate (const char *dir, const char *name, err_t *err)
{
    if (authority_rotate (dir, name, cmd_keys_on_bad, err) != 0 ||
        cmd_keys_rotate_accounts (dir, name, err) != 0)
        return -1;
    if (*name)
        printf ("%s/%s is new: copy it to where it is used, and start what uses it again\n", dir,
                name);
    else
        printf ("everything in %s is new: copy each folder to where it is used, and start the bus, "
                "Redis and all that is on them again\n",
                dir);
    return 0;
}

static int cmd_keys_kinds (void)
{
    char text[512];
    for (const rights_t *r = rights_table; r->kind; r++)
        puts (rights_tell (r, text, sizeof text));
    return 0;
}

/*  What follows the command, and what there is when it is left out. */
static int cmd_keys_do (const char *const *word, size_t n, bool json, err_t *err)
{
    const char *command = word[0], *dir = n > 1 ? word[1] : "", *third = n > 2 ? word[2] : "",
               *fourth = n > 3 ? word[3] : "";
    static const struct {
        const char *name, *arguments;
        size_t least, most;
    } commands[] = {{"init", "DIR", 2, 2},
                    {"add", "DIR KIND [NAME]", 3, 4},
                    {"make", "DIR KIND...", 3, ARGS_REPEATED_MAX},
                    {"list", "DIR", 2, 2},
                    {"revoke", "DIR NAME", 3, 3},
                    {"rotate", "DIR [NAME]", 2, 3},
                    {"kinds", "", 1, 1}};
    size_t i = 0, last = sizeof commands / sizeof *commands;
    while (i < last && strcmp (commands[i].name, command) != 0)
        i++;
    if (i == last)
        return err_set (err, ERR_CONFIG,
                        "'%s': init, add, make, list, revoke, rotate or kinds is wanted", command);
    if (n < commands[i].least || n > commands[i].most)
        return err_set (err, ERR_CONFIG, "quintet keys %s %s", command, commands[i].arguments);
    return strcmp (command, "init") == 0     ? authority_init (dir, err)
           : strcmp (command, "add") == 0    ? cmd_keys_add (dir, third, fourth, err)
           : strcmp (command, "make") == 0   ? cmd_keys_make (dir, word + 2, n - 2, err)
           : strcmp (command, "list") == 0   ? cmd_keys_list (dir, json, err)
           : strcmp (command, "revoke") == 0 ? cmd_keys_revoke (dir, third, err)
           : strcmp (command, "rotate") == 0 ? cmd_keys_rotate (dir, third, err)
                                             : cmd_keys_kinds ();
}

static int cmd_keys_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    size_t n = 0;
    args_t *args = cli_args (&keys_spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    const char *const *word = args_positionals (args, &n);
    int rc = cmd_keys_do (word, n, args_flag (args, "--json"), &err);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("keys", &err);
}

const cli_command_t cli_keys = {"keys", "COMMAND DIR", "say who is let in to a bus", cmd_keys_run};
