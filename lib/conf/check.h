/*  check - what needs several keys at once. Private to conf.
 *
 *      conf_check (conf, &err);
 */
#ifndef QUINTET_CONF_CHECK_H
#define QUINTET_CONF_CHECK_H

#include "conf/conf.h"

/*  ERR_CONFIG names file, line and keys that do not go together. */
int conf_check (const conf_t *conf, err_t *err);

#endif
