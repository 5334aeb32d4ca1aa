/*  seats - a trained team, opened: for each role the weights that it writes with.
 *
 *      seats_t seats = {0};
 *      seats_open (&seats, conf, "runs/coding", pool, &err);
 *      stream_part_t part = {.model = seats.model[role], .stops = seats.folder[role]->stops};
 *      seats_close (&seats);
 *
 *  DIR may be the folder of a run (its newest checkpoint is meant), a checkpoint, or any model
 *  folder. A checkpoint is one folder, or one for each policy; with adapters they stand on the
 *  configuration's own model. A policy that is not trained is the configuration's own. A seat that
 *  a server of others plays has neither folder nor model.
 */
#ifndef QUINTET_CLI_SEATS_H
#define QUINTET_CLI_SEATS_H

#include "base/fs.h"
#include "conf/conf.h"
#include "http/openai.h"
#include "opened.h"

typedef struct {
    openai_t *server[CONF_LIST_MAX]; /* by role; NULL: it has weights, and what follows */
    /* by role; some may share */
    const opened_t *folder[CONF_LIST_MAX];
    const model_t *model[CONF_LIST_MAX];
    chat_format_t format[CONF_LIST_MAX]; /* that it is spoken to in */
    sampler_t *sampler[CONF_LIST_MAX];   /* that decodes for it, and maybe for others */
    /* of a policy that judges what was handed in; NULL where none of the configuration's does */
    const opened_t *judge;
    const model_t *judge_model;
    chat_format_t judge_format;
    sampler_t *judge_sampler;
    /* owned */
    char dir[CONF_LIST_MAX][FS_PATH_MAX];
    const conf_policy_t *as[CONF_LIST_MAX]; /* borrowed: whom a folder was opened for first */
    opened_t opened[CONF_LIST_MAX];
    model_t *adapted[CONF_LIST_MAX];
    sampler_t *samplers[CONF_LIST_MAX];
    size_t opened_n, adapted_n, samplers_n;
} seats_t;

/*  dir "": what the configuration names. conf and pool are borrowed. Errors name the folder. */
int seats_open (seats_t *seats, const conf_t *conf, const char *dir, pool_t *pool, err_t *err);
void seats_close (seats_t *seats);

#endif
