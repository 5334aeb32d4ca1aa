/*  check - what needs several keys at once. Private to conf.
 *
 *      conf_check (conf, "coding.yml", &err);
 */
#ifndef QUINTET_CONF_CHECK_H
#define QUINTET_CONF_CHECK_H

#include "conf/conf.h"

/*  ERR_CONFIG names the file and the keys that do not go together. */
int conf_check (const conf_t *conf, const char *name, err_t *err);

#endif
