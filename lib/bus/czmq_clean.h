/*  czmq_clean - CZMQ without what its header brings along: the macros of syslog.h, some of which
 *  have the names of our levels in base/log.h.
 */
#ifndef QUINTET_BUS_CZMQ_CLEAN_H
#define QUINTET_BUS_CZMQ_CLEAN_H

#include <czmq.h>

#undef LOG_DEBUG
#undef LOG_INFO

#endif
